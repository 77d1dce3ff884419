"""Several networks on the same labelled crops: what each errs, loses against the most precise one, and takes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from fkp_edge import data
from fkp_edge.bench.records import Accuracy, latency
from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.keypoints import Points
from fkp_edge.errors import InputError
from fkp_edge.evaluation.comparison import Comparison, LabelledCrops, compare, error_by_face, labelled_crops
from fkp_edge.evaluation.metrics import point_distances
from fkp_edge.model.interpreter import KeypointModel

__all__ = ["measure_accuracy"]


def measure_accuracy(named: dict[str, KeypointModel], folder: Path, tell: Callable[[str], None]) -> list[Accuracy]:
    """What each of `named` gives on the labelled faces in `folder`; those of one schema are compared.

    Args:
        named: models, in any order.
        folder: as `data.load` takes it.
        tell: is told what is measured.

    Raises:
        InputError: there are no labelled faces, or none with both outer eye corners.
    """
    found: dict[str, Accuracy] = {}
    for schema in dict.fromkeys(model.schema for model in named.values()):
        alike = {name: model for name, model in named.items() if model.schema is schema}
        truth = labelled_crops(data.load(folder, schema))
        if not np.isfinite(schema.inter_ocular(truth.points)).any():
            raise InputError(f"no face in {folder} has both outer eye corners labelled; the NME is measured by them")
        tell(f"accuracy on {len(truth.pixels)} crops of {', '.join(truth.sets)}")
        found |= zip(alike, _on_crops(alike, truth), strict=True)
    return [found[name] for name in named]


def _on_crops(named: dict[str, KeypointModel], truth: LabelledCrops) -> list[Accuracy]:
    models = list(named.values())
    predicted, durations = _predict(models, truth)
    base = max(range(len(models)), key=lambda i: _precision(models[i]))
    sets = {name: int((truth.of_set == number).sum()) for number, name in enumerate(truth.sets)}
    results = []
    for i, points in enumerate(predicted):
        errors = 100 * error_by_face(points, truth)
        distances = point_distances(points, truth.points)
        results.append(
            Accuracy(
                sets=sets,
                crops=len(truth.pixels),
                latency=latency(durations[i]),
                nme_percent=round(float(np.nanmean(errors)), 4),
                rmse_px=round(float(np.sqrt(np.nanmean(distances**2) / 2)), 4),
                nme_by_face=tuple(None if math.isnan(error) else round(float(error), 3) for error in errors),
                subject_by_face=tuple(map(int, truth.subject)),
                baseline=list(named)[base],
                loss=None if i == base else _known(compare(predicted[base], points, truth)),
            )
        )
    return results


def _precision(model: KeypointModel) -> int:
    """The higher, the more of the network as it was trained is left; the first of the highest is the baseline."""
    if model.arithmetic != "float":
        return 0
    return 2 if model.full_weights else 1


def _predict(models: Sequence[KeypointModel], truth: LabelledCrops) -> tuple[list[Points], list[list[int]]]:
    """Points (N, K, 2) in pixels of the crops, and how long each inference took, by model."""
    units = [np.empty(truth.points.shape, np.float32) for _ in models]
    durations: list[list[int]] = [[] for _ in models]
    for number, crop in enumerate(truth.pixels):
        for i, model in enumerate(models):
            start = time.perf_counter_ns()
            raw = model.invoke(crop)
            durations[i].append(time.perf_counter_ns() - start)
            units[i][number] = model.decode(*raw)[0]
    return [np.asarray(each * CROP_SIZE - 0.5, np.float32) for each in units], durations


def _known(comparison: Comparison) -> Comparison:
    """Without points that nobody labelled: JSON has no number for them."""
    points = {name: loss for name, loss in comparison.points.items() if loss.faces}
    rmse = {name: comparison.rmse_px_by_point[name] for name in points}
    sets = {name: loss for name, loss in comparison.sets.items() if loss.faces}
    return msgspec.structs.replace(comparison, points=points, rmse_px_by_point=rmse, sets=sets)
