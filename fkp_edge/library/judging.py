"""What a model file is worth: its golden cases on this machine, its accuracy, its speed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from fkp_edge import data as datasets
from fkp_edge.bench.records import Result as Measurement
from fkp_edge.bench.run import Plan
from fkp_edge.bench.run import bench as measure
from fkp_edge.device.detection.haar import HaarDetector, HaarSettings
from fkp_edge.device.sources import resolve_auto
from fkp_edge.errors import InputError
from fkp_edge.evaluation.evaluate import CropKind
from fkp_edge.evaluation.evaluate import evaluate as evaluate_model
from fkp_edge.library.inputs import ModelLike, load
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import find_model
from fkp_edge.model.verify import Verification
from fkp_edge.model.verify import verify as verify_model

_log = logging.getLogger(__name__)

__all__ = ["AS_PUBLISHED", "Accuracy", "AccuracyRow", "Measurement", "benchmark", "evaluate", "verify"]

AS_PUBLISHED = HaarSettings(scale_factor=1.1, min_neighbors=3, min_size=24, longest_side=4096)
"""Haar as the figures of others are given: (1.1, 3) on the whole picture, down to the cascade's own window."""


def verify(model: ModelLike) -> Verification:
    """Whether a model file gives on this machine what it gave where it was made: replays its golden cases.

    Args:
        model: the name of a shipped model, the path of a .tflite file, or what `load` gave.

    Returns:
        A record: `first` is None where all reproduce, else what differs first; `cases`, `distance_px`, `runs_on`.

    Raises:
        ModelFileError: the file is no model, or has no golden cases.

    >>> import fkp_edge as fkp
    >>> fkp.verify("keypoints-int8").first is None
    True
    """
    return verify_model(load(model, card_required=False))


@dataclass(frozen=True, slots=True)
class AccuracyRow:
    """The accuracy of one model on one set of faces."""

    model: str
    """The file's name."""
    data: str
    """Of the set, such as afw."""
    figures: dict[str, Any]
    """`faces`, `missed`, `nme_percent` with `nme_interval_percent` (95 %), `failures_percent`, `rmse_px`, ...: what
    `fkp-edge eval --json` prints."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A table of accuracies, a row for each model and set: iterate over it, print it."""

    rows: tuple[AccuracyRow, ...]

    def __iter__(self) -> Iterator[AccuracyRow]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> AccuracyRow:
        return self.rows[index]

    def to_dict(self) -> list[dict[str, Any]]:
        """Plain values that `json.dumps` takes.

        Returns:
            A dict for each row: `model`, `data`, and its figures by name.
        """
        return [{"model": row.model, "data": row.data} | row.figures for row in self.rows]

    def __repr__(self) -> str:
        lines = [f"{'model':<28}{'set':<10}{'faces':>6}{'NME %':>8}  95 % interval"]
        for row in self.rows:
            f = row.figures
            interval = "{:.2f} .. {:.2f}".format(*f["nme_interval_percent"])
            lines.append(f"{row.model:<28}{row.data:<10}{f['faces']:>6}{f['nme_percent']:>8.2f}  {interval}")
        return "\n".join(lines)


def evaluate(
    model: ModelLike | Iterable[ModelLike],
    *,
    data: str | PathLike[str],
    crops: CropKind = "gt",
) -> Accuracy:
    """The accuracy of one or several model files on labelled faces.

    Args:
        model: a model, or several: the name of a shipped one, a path, or what `load` gave.
        data: labelled faces: a folder of .pts files beside their pictures, a folder of such folders, or Kaggle's or
            MUCT's CSV.
        crops: faces framed by their labels (`gt`), by Haar (`haar`) or as tracking frames them (`jitter`).

    Returns:
        A table with a row for each model and set: `row.figures["nme_percent"]` is the mean error in percent of the
        distance between the outer eye corners.

    Raises:
        InputError: there are no labelled faces, or they are labelled in other points.
        ModelFileError: a file is no model.
    """
    given = [model] if isinstance(model, str | PathLike | KeypointModel) else list(model)
    if crops not in ("gt", "haar", "jitter"):
        raise InputError(f"crops={crops!r} is not known; expected gt, haar or jitter")
    detector = HaarDetector(AS_PUBLISHED)
    rows = []
    for network in map(load, given):
        for faces in datasets.load(Path(data), network.schema):
            found = evaluate_model(network, faces, crops=crops, propose=detector.detect)
            rows.append(AccuracyRow(network.file.path.name, faces.name, found.figures))
    return Accuracy(tuple(rows))


def benchmark(
    model: str | PathLike[str] | Sequence[str | PathLike[str]] = ("keypoints-int8", "keypoints-float32"),
    *,
    source: str = "demo",
    data: str | PathLike[str] | None = None,
    seconds: float = 75.0,
    quick: bool = False,
    threads: int = 1,
) -> Measurement:
    """The latency of every stage, the start and the memory of models on this machine, as `fkp-edge bench` measures.

    Args:
        model: one or several: names of shipped models, or paths.
        source: as for `track`, but no pipe; the demo is the same everywhere.
        data: labelled faces, to measure what accuracy each model lost against the float one, too.
        seconds: of each model's open loop, 1 to 3600.
        quick: some seconds in all: shows that it works, and little else.
        threads: the network alone is tried with 1 to that many threads.

    Returns:
        A record: `models[0].open`, `.closed`, `.network`, `.start` and `.accuracy` hold the figures.

    Raises:
        InputError: a model, the source or the data cannot be used.
    """
    given = [model] if isinstance(model, str | PathLike) else list(model)
    if not given or not 1 <= seconds <= 3600:
        raise InputError(f"{len(given)} models for {seconds!r} s; expected one or more, and 1 to 3600 seconds")
    plan = Plan(
        models=tuple(dict.fromkeys(find_model(str(name)) for name in given)),
        source=resolve_auto() if source == "auto" else source,
        data=None if data is None else Path(data),
        seconds=seconds,
        quick=quick,
        threads=threads,
    )
    return measure(plan, lambda path, count: open_model(path, threads=count), _log.info)
