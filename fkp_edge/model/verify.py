"""Replays a model file's golden cases on this device, stage by stage: pixels, raw outputs, score, decoded points."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import CROP_SIZE, crop_from_box, extract
from fkp_edge.errors import ModelFileError
from fkp_edge.model.file import GoldenCase
from fkp_edge.model.finder import FinderModel, Maps
from fkp_edge.model.finder_maps import INPUT_SIZE, FinderCase, Proposal, letterbox
from fkp_edge.model.interpreter import Arithmetic, KeypointModel

__all__ = ["STAGES", "TOLERANCES", "Difference", "Tolerance", "Verification", "verify"]

Stage = Literal["pixels", "keypoints", "score", "points", "heat", "shape", "proposals"]
STAGES: tuple[Stage, ...] = ("pixels", "keypoints", "score", "points")
FINDER_STAGES: tuple[Stage, ...] = ("pixels", "heat", "shape", "proposals")
"""In the order in which a frame passes them. Each is given what the stage before it gave on the desktop, so that one
that differs does not make the next ones differ."""


@dataclass(frozen=True)
class Tolerance:
    """How far a device's raw outputs may lie from the desktop's."""

    face: float
    """Any of the 2K keypoint values, where the desktop saw a face (a score of 0.5), in `unit`."""
    elsewhere: float
    """The same where it saw none, or the network has no score: points then mean little and rounding sways them more."""
    score: float
    unit: Literal["steps", "units"]
    """Levels of an integer output, or crop sides (keypoints) and probability (score)."""


PIXEL_LEVELS = 0.0
"""Grey levels that a crop may differ by. OpenCV samples bytes in integers: 4.10, 4.11, 4.12 and 4.14 on x86-64 and
4.11 on arm64 gave the same bytes."""
POINT_PX = 1e-3
"""Frame pixels that decoded points may differ by: float32 on coordinates of some hundred pixels."""

MAX_PX = 1e6
"""What a box may reach to; beyond it is no picture."""

EDGE_TPU = "Edge TPU"

_EXACT = Tolerance(face=0, elsewhere=0, score=0, unit="steps")
_FLOAT = Tolerance(face=1e-4, elsewhere=1e-4, score=1e-4, unit="units")
_MIXED = Tolerance(face=0.005, elsewhere=0.02, score=0.01, unit="units")

TOLERANCES: dict[tuple[Arithmetic, str], Tolerance] = {
    # The same bytes on x86-64, on a Pi 4's core and on a Pi 5's.
    ("integer", "LiteRT"): _EXACT,
    # tflite-runtime 2.14.0 rounds elsewhere: up to 4 steps in 300 crops of a face, 23 in 50 of noise, 3 of the score.
    ("integer", "tflite-runtime"): Tolerance(face=5, elsewhere=32, score=4, unit="steps"),
    # Sums of floats depend on their order, and that on the processor: 2e-7 between x86-64 and the two Pi cores.
    ("float", "LiteRT"): _FLOAT,
    ("float", "tflite-runtime"): _FLOAT,
    # The same tips int8's rounding inside a network that computes in both: 0.0013 with dynamic ranges, on faces.
    ("mixed", "LiteRT"): _MIXED,
    ("mixed", "tflite-runtime"): _MIXED,
    # Chosen, not measured: no device has been tried. Five steps of the shipped file are 1 % of the crop's side.
    ("integer", EDGE_TPU): Tolerance(face=5, elsewhere=32, score=5, unit="steps"),
    ("float", EDGE_TPU): Tolerance(face=0.01, elsewhere=0.07, score=0.02, unit="units"),
    ("mixed", EDGE_TPU): Tolerance(face=0.01, elsewhere=0.07, score=0.02, unit="units"),
}
"""(what the network computes with, what runs it) -> tolerance. A file compiled for the Edge TPU carries the golden
cases of the int8 file that it was compiled from."""


@dataclass(frozen=True)
class Difference:
    """What one stage of one golden case gave here, against what it gave on the desktop."""

    stage: Stage
    case: int
    """From 1."""
    found: float
    """The largest difference; NaN where the device gave NaN."""
    allowed: float
    unit: str

    @property
    def exceeds(self) -> bool:
        """True also for NaN."""
        return not self.found <= self.allowed


@dataclass(frozen=True)
class Verification:
    """Every stage of every golden case on this device."""

    runs_on: str
    """The runtime and its version."""
    cases: int
    differences: tuple[Difference, ...]
    distance_px: float
    """The largest distance, frame pixels, of a point (a finder: of a proposal's middle) from the desktop's when all
    stages run one after the other."""
    stages: tuple[Stage, ...] = STAGES
    """What there is to replay, in the order in which a frame passes it."""

    @property
    def first(self) -> Difference | None:
        """The first stage that differs too much, in the case where it differs most; None where all reproduce."""
        for stage in self.stages:
            if any(d.exceeds for d in self.differences if d.stage == stage):
                return self.worst(stage)
        return None

    def worst(self, stage: Stage) -> Difference:
        """The worst case of one stage.

        Args:
            stage: one of `stages`.

        Returns:
            The difference of the case that exceeds most what is allowed.
        """
        cases = [d for d in self.differences if d.stage == stage]
        return max(cases, key=lambda d: (d.exceeds, np.nan_to_num(d.found, nan=np.inf)))


def verify(model: KeypointModel | FinderModel) -> Verification:
    """Replays the golden cases of `model`, of either kind.

    Raises:
        ModelFileError: the file has no golden cases, or they do not fit its network.
    """
    if isinstance(model, FinderModel):
        return _verify_finder(model)
    if not model.file.golden:
        raise ModelFileError(f"{model.file.path} has no golden cases; expected a file that fkp-edge convert wrote")
    given = model.invoke(np.zeros((CROP_SIZE, CROP_SIZE), np.uint8))
    differences: list[Difference] = []
    distances = []
    for number, case in enumerate(model.file.golden, 1):
        _check(model, case, number, *given)
        differences.extend(_replay(model, case, number))
        crop = crop_from_box(case.box)
        points = crop.to_frame(model.predict(extract(case.frame, crop))[0])
        distances.append(np.linalg.norm(points - case.points, axis=1).max())
    runs_on = f"{model.runtime}, {EDGE_TPU}" if model.accelerator == "edgetpu" else str(model.runtime)
    return Verification(runs_on, len(model.file.golden), tuple(differences), float(np.max(distances)))


def _check(model: KeypointModel, case: GoldenCase, number: int, keypoints: NDArray[Any], score: NDArray[Any]) -> None:
    """Refuses arrays that a network with outputs like `keypoints` and `score` cannot have given."""
    expected = {
        "crop": ((CROP_SIZE, CROP_SIZE), np.dtype(np.uint8)),
        "points": ((model.schema.size, 2), np.dtype("f4")),
    }
    expected |= {"raw_keypoints": (keypoints.shape, keypoints.dtype), "raw_score": (score.shape, score.dtype)}
    for name, (shape, dtype) in expected.items():
        found = getattr(case, name)
        if found.shape != shape or found.dtype != dtype:
            raise ModelFileError(
                f"{model.file.path}: {name} of golden case {number} is {found.shape} {found.dtype}, expected "
                f"{shape} {dtype}; convert the model again"
            )
    if case.frame.ndim != 2 or case.frame.dtype != np.uint8 or not case.frame.size:
        raise ModelFileError(
            f"{model.file.path}: frame of golden case {number} is {case.frame.shape} {case.frame.dtype}, expected "
            "(height, width) uint8; convert the model again"
        )
    if len(case.box) != 4 or not np.abs(case.box).max() <= MAX_PX or min(case.box[2:]) <= 0:
        raise ModelFileError(
            f"{model.file.path}: box of golden case {number} is {case.box}, expected x, y, width, height; "
            "convert the model again"
        )


def _replay(model: KeypointModel, case: GoldenCase, number: int) -> Iterator[Difference]:
    crop = crop_from_box(case.box)
    levels = _distance(extract(case.frame, crop), case.crop)
    yield Difference("pixels", number, levels, PIXEL_LEVELS, "grey levels")

    tolerance = TOLERANCES[model.arithmetic, EDGE_TPU if model.accelerator == "edgetpu" else model.runtime.name]
    keypoints, score = model.invoke(case.crop)
    units, probability = model.decode(case.raw_keypoints, case.raw_score)
    steps = tolerance.unit == "steps"
    if steps:
        moved, scored = _distance(keypoints, case.raw_keypoints), _distance(score, case.raw_score)
    else:
        found = model.decode(keypoints, score)
        moved, scored = _distance(found[0], units), abs(found[1] - probability)
    sees_face = model.has_score and probability >= 0.5
    allowed = tolerance.face if sees_face else tolerance.elsewhere
    yield Difference("keypoints", number, moved, allowed, "output steps" if steps else "of the crop's side")
    yield Difference("score", number, scored, tolerance.score, "output steps" if steps else "of probability")

    yield Difference("points", number, _distance(crop.to_frame(units), case.points), POINT_PX, "px")


def _verify_finder(model: FinderModel) -> Verification:
    cases = model.file.finder_golden
    if not cases:
        raise ModelFileError(f"{model.file.path} has no golden cases; expected a file that fkp-edge convert wrote")
    given = model.invoke(np.zeros(INPUT_SIZE[::-1], np.uint8))
    differences: list[Difference] = []
    distances = [0.0]
    for number, case in enumerate(cases, 1):
        _check_finder(model, case, number, given)
        differences.extend(_replay_finder(model, case, number))
        middles = _as_rows(model.propose(case.frame, most=len(case.proposals)))[:, :2]
        pairs = zip(middles, case.proposals[:, :2], strict=False)
        distances += [float(np.linalg.norm(a - b)) for a, b in pairs]
    return Verification(str(model.runtime), len(cases), tuple(differences), max(distances), FINDER_STAGES)


def _check_finder(model: FinderModel, case: FinderCase, number: int, given: Maps) -> None:
    """Refuses arrays that a network with maps like `given` cannot have given."""
    wanted: dict[str, tuple[NDArray[Any], tuple[int, ...], Any]] = {
        "pixels": (case.pixels, INPUT_SIZE[::-1], np.dtype(np.uint8))
    }
    wanted |= {
        f"map {i}": (raw, like.shape, like.dtype) for i, (raw, like) in enumerate(zip(case.raw, given, strict=True), 1)
    }
    wanted["proposals"] = (case.proposals, (len(case.proposals), 5), np.dtype("f4"))
    wanted["frame"] = (case.frame, case.frame.shape if case.frame.ndim == 2 and case.frame.size else (), np.dtype("u1"))
    for name, (found, shape, dtype) in wanted.items():
        if found.shape != shape or found.dtype != dtype:
            raise ModelFileError(
                f"{model.file.path}: {name} of golden case {number} is {found.shape} {found.dtype}, expected "
                f"{shape} {dtype}; convert the model again"
            )


def _replay_finder(model: FinderModel, case: FinderCase, number: int) -> Iterator[Difference]:
    pixels, place = letterbox(case.frame)
    yield Difference("pixels", number, _distance(pixels, case.pixels), PIXEL_LEVELS, "grey levels")

    tolerance = TOLERANCES[model.arithmetic, model.runtime.name]
    maps = model.invoke(case.pixels)
    # floats are logits, cells and logarithms here: some ten times as wide as crop units
    unit, wider = ("output steps", 1.0) if tolerance.unit == "steps" else ("of the map's unit", 10.0)
    moved = [_distance(found, expected) for found, expected in zip(maps, case.raw, strict=True)]
    yield Difference("heat", number, max(moved[::2]), wider * tolerance.score, unit)
    yield Difference("shape", number, max(moved[1::2]), wider * tolerance.face, unit)

    found = model.decode(case.raw, most=len(case.proposals))
    rows = _as_rows([Proposal(place.to_frame(p.crop), p.score) for p in found])
    same = rows.shape == case.proposals.shape
    yield Difference("proposals", number, _distance(rows, case.proposals) if same else math.inf, POINT_PX, "px")


def _as_rows(proposals: list[Proposal]) -> NDArray[np.float32]:
    rows = [(p.crop.x, p.crop.y, p.crop.side, p.crop.roll, p.score) for p in proposals]
    return np.array(rows, np.float32).reshape(-1, 5)


def _distance(found: NDArray[Any], expected: NDArray[Any]) -> float:
    """The largest difference of two arrays of one shape; 0 of empty ones."""
    return float(np.abs(found.astype(np.float64) - expected.astype(np.float64)).max(initial=0))
