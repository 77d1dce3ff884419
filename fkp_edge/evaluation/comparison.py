"""What a network loses against another on the same labelled crops, face by face, and how sure that figure is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import CROP_SIZE, Crop, can_track, extract, tracked_crop
from fkp_edge.core.keypoints import Points, Schema
from fkp_edge.data import FaceSet
from fkp_edge.evaluation.evaluate import TRACK_POINT_ERROR
from fkp_edge.evaluation.metrics import bootstrap_ratio, face_nme, point_distances
from fkp_edge.model.interpreter import KeypointModel

__all__ = [
    "Comparison",
    "LabelledCrops",
    "Loss",
    "compare",
    "error_by_face",
    "labelled_crops",
    "predict_crops",
    "relative_loss",
    "worst",
]

JITTERED = 3
"""Crops of each face framed as the tracker would, beside the labels' own and that one's mirror image: the error of one
crop is mostly chance, and a face is judged by the mean over its crops."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LabelledCrops:
    """Crops to be judged on, the same for every network that is compared."""

    schema: Schema
    pixels: NDArray[np.uint8]
    """(N, 96, 96)."""
    points: Points
    """(N, K, 2), pixels of the crop; NaN where not labelled."""
    face: NDArray[np.intp]
    """(N,), from 0: several crops show one face."""
    of_set: NDArray[np.intp]
    """(faces,), index in `sets`."""
    sets: tuple[str, ...]
    names: tuple[str, ...]
    """(faces,)."""
    subject: NDArray[np.intp]
    """(faces,), number of the person, from 0: several faces may be of one. Sets share nobody."""

    @property
    def plain(self) -> NDArray[np.intp]:
        """The labels' own crop of each face."""
        return np.searchsorted(self.face, np.arange(len(self.names)))


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """The relative loss of NME from one network to another."""

    faces: int
    subjects: int = 0
    """People that these faces are of; 0 in what earlier versions wrote."""
    before_percent: float
    """NME, percent of the distance of the outer eye corners."""
    after_percent: float
    loss_percent: float
    """Of the NME before; negative where the second network errs less."""
    interval_percent: tuple[float, float]
    """95 % interval of the loss: a bootstrap over people, both networks on the same ones."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Two networks on the same crops."""

    overall: Loss
    sets: dict[str, Loss]
    points: dict[str, Loss]
    rmse_px: tuple[float, float]
    """Root mean square error of a coordinate, pixels of the 96x96 crop, before and after."""
    rmse_px_by_point: dict[str, tuple[float, float]]
    moved_px: float
    """Root mean square of what the second network gives otherwise than the first, pixels."""


def labelled_crops(sets: list[FaceSet], seed: int = 0) -> LabelledCrops:
    """The labels' crop of every face, its mirror image and, of whole pictures, some as the tracker frames it."""
    rng = np.random.default_rng(seed)
    pixels: list[NDArray[np.uint8]] = []
    points: list[Points] = []
    face: list[int] = []
    for number, (faces, index) in enumerate((f, i) for f in sets for i in range(len(f))):
        crops = _crops(faces, index, rng)
        image = faces.images[index]
        for place, crop in enumerate(crops):
            cut, units = extract(image, crop), crop.to_units(faces.points[index])
            if place == 1:
                cut, units = np.ascontiguousarray(cut[:, ::-1]), faces.schema.mirrored(units)
            pixels.append(cut)
            points.append(np.asarray(units * CROP_SIZE - 0.5, np.float32))
            face.append(number)
    return LabelledCrops(
        sets[0].schema,
        np.stack(pixels),
        np.stack(points),
        np.array(face),
        np.repeat(np.arange(len(sets)), [len(f) for f in sets]),
        tuple(f.name for f in sets),
        tuple(label for f in sets for label in f.labels),
        _subjects(sets),
    )


def _subjects(sets: list[FaceSet]) -> NDArray[np.intp]:
    """Number of the person of each face, every set's counted on from the one before."""
    numbers, start = [], 0
    for faces in sets:
        numbers.append(faces.subject + start)
        start = int(numbers[-1].max(initial=start - 1)) + 1
    return np.concatenate(numbers)


def _crops(faces: FaceSet, index: int, rng: np.random.Generator) -> list[Crop]:
    plain = faces.crop(index)
    if faces.cropped or not can_track(faces.points[index]):
        return [plain, plain]
    framed = [
        tracked_crop(faces.points[index], faces.schema, rng, point_error=TRACK_POINT_ERROR) for _ in range(JITTERED)
    ]
    return [plain, plain, *framed]


def predict_crops(model: KeypointModel, crops: NDArray[np.uint8]) -> Points:
    """Points (N, K, 2) in pixels of the crops (N, 96, 96) that `model` gives."""
    units = np.stack([model.predict(crop)[0] for crop in crops])
    return np.asarray(units * CROP_SIZE - 0.5, np.float32)


def compare(before: Points, after: Points, truth: LabelledCrops) -> Comparison:
    """What was lost from one network's points (N, K, 2) to another's."""
    first, second = (error_by_face(points, truth) for points in (before, after))
    eyes = truth.schema.inter_ocular(truth.points)[:, None]
    distances = [point_distances(points, truth.points) for points in (before, after)]
    by_point = [_by_face(d / eyes, truth) for d in distances]
    names, subject = truth.schema.names, truth.subject
    members = {name: truth.of_set == number for number, name in enumerate(truth.sets)}
    return Comparison(
        overall=relative_loss(first, second, subject),
        sets={name: relative_loss(first[of], second[of], subject[of]) for name, of in members.items()},
        points={name: relative_loss(by_point[0][:, k], by_point[1][:, k], subject) for k, name in enumerate(names)},
        rmse_px=(_rms(distances[0]), _rms(distances[1])),
        rmse_px_by_point={name: (_rms(distances[0][:, k]), _rms(distances[1][:, k])) for k, name in enumerate(names)},
        moved_px=_rms(point_distances(after, before)),
    )


def error_by_face(points: Points, truth: LabelledCrops) -> Floats:
    """NME (faces,), fractions, of the points (N, K, 2): the mean over each face's crops; NaN where there is none."""
    return _by_face(face_nme(points, truth.points, truth.schema), truth)


def _rms(distances: Floats) -> float:
    """Of one coordinate, from distances of points."""
    known = distances[np.isfinite(distances)]
    return float(np.sqrt((known**2).mean() / 2)) if len(known) else float("nan")


def _by_face(values: Floats, truth: LabelledCrops) -> Floats:
    """The mean of `values` (N, ...) over the crops of each face; NaN where none has a value."""
    count = np.zeros((len(truth.names), *values.shape[1:]))
    total = count.copy()
    known = np.isfinite(values)
    np.add.at(count, truth.face, known)
    np.add.at(total, truth.face, np.where(known, values, 0))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def relative_loss(before: Floats, after: Floats, subject: NDArray[np.integer] | None = None, *, seed: int = 0) -> Loss:
    """The loss from errors of faces (N,), fractions, to other errors of the same faces; NaN ones are left out.

    The interval is that of the ratio of means, people drawn with both errors of all their faces; see
    `metrics.bootstrap_ratio`. `subject` (N,) says whose face it is; each is its own where it is None.
    """
    known = np.isfinite(before) & np.isfinite(after)
    first, second = before[known], after[known]
    whose = (np.arange(len(before)) if subject is None else subject)[known]
    if not len(first):
        nan = float("nan")
        return Loss(faces=0, before_percent=nan, after_percent=nan, loss_percent=nan, interval_percent=(nan, nan))
    low, high = bootstrap_ratio(second, first, whose, seed=seed)
    return Loss(
        faces=len(first),
        subjects=len(np.unique(whose)),
        before_percent=100 * float(first.mean()),
        after_percent=100 * float(second.mean()),
        loss_percent=100 * float(second.mean() / first.mean() - 1),
        interval_percent=(100 * (low - 1), 100 * (high - 1)),
    )


def worst(before: Points, after: Points, truth: LabelledCrops, count: int) -> list[int]:
    """The labels' crops whose error grew most, the worst first."""
    grown: Any = face_nme(after, truth.points, truth.schema) - face_nme(before, truth.points, truth.schema)
    plain = truth.plain
    return [int(i) for i in plain[np.argsort(-np.nan_to_num(grown[plain], nan=-np.inf))][:count]]
