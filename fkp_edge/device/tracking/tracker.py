"""One followed face: where it is expected next, what it looks like, and which of two tracks on one face is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop, box_around, crop_from_track, extract, iou
from fkp_edge.core.keypoints import Points
from fkp_edge.core.measures import FaceMeasures
from fkp_edge.core.observation import Face
from fkp_edge.device.detection.base import coarse_pattern
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.smoothing import OneEuro
from fkp_edge.model.interpreter import KeypointModel

__all__ = [
    "BEHIND",
    "HOPELESS",
    "MAX_REFINEMENTS",
    "SAME_FACE",
    "Prediction",
    "Track",
    "agree",
    "is_near",
    "is_on",
    "occluded_tracks",
    "predict_crop",
    "refine_crop",
]

MAX_REFINEMENTS = 4
"""At one proposal."""
HOPELESS = 0.07
"""Score below which looking again is of no use: of 516 proposals on faces of val/scenes and its mosaics one scores less
at a look before the last, and 2,619 others take 2.4 looks instead of 3.2. From 0.08 on far faces are found later."""


class Prediction(NamedTuple):
    """What the network saw in one crop."""

    points: Points
    """(K, 2), frame pixels."""
    score: float
    crop: Crop
    """The crop that these points ask for: where to look next, and what is reported as the face's box."""
    pixels: NDArray[np.uint8]
    """(96, 96): what was looked at."""


def predict_crop(model: KeypointModel, grey: NDArray[np.uint8], crop: Crop, times: StageTimes) -> Prediction:
    """Runs `model` on one crop of `grey`."""
    with times.stage("crop"):
        pixels = extract(grey, crop)
    with times.stage("infer"):
        raw = model.invoke(pixels)
    with times.stage("decode"):
        units, score = model.decode(*raw)
        points = crop.to_frame(units)
        aim = crop_from_track(points, model.schema.mean_shape)
        if math.isfinite(aim.side):
            return Prediction(points, score, aim, pixels)
        return Prediction(
            crop.to_frame(model.schema.mean_shape), 0.0, crop, pixels
        )  # a damaged float network saw nothing


def refine_crop(model: KeypointModel, grey: NDArray[np.uint8], crop: Crop, times: StageTimes) -> Prediction | None:
    """Runs `model` on a proposed crop, then on the crop that the points found there ask for, until the two agree.

    None where they do not within four looks: the box was stale or framed half a face, and the points are guesses; or
    where a look says that no face is near.
    """
    for _ in range(MAX_REFINEMENTS):
        prediction = predict_crop(model, grey, crop, times)
        if agree(crop, prediction.crop):
            return prediction
        if prediction.score < HOPELESS:
            return None
        crop = prediction.crop
    return None


def agree(a: Crop, b: Crop) -> bool:
    """Whether two crops show the same face alike, so that no other look is needed."""
    shift = math.hypot(a.x - b.x, a.y - b.y)
    turn = abs(math.remainder(a.roll - b.roll, 2 * math.pi))
    return shift < 0.08 * b.side and abs(math.log(a.side / b.side)) < 0.15 and turn < math.radians(8)


SAME_FACE = 0.2
"""Intersection over union from which a box is taken for that of a face that is followed."""
ONE_FACE = 0.4
"""Intersection over union of two tracks' crops from which both are on one face."""
BEHIND = 0.1
"""Intersection over union from which a face that is not seen may be behind another."""
NEAR = 1.4
"""Distance, in sides, below which one head may cover part of another: heads are wider than their faces' crops."""
MAX_PREDICTED_SHIFT = 0.25
"""Of a side: how far ahead of its last place a face is looked for at most; the network's own reach is 0.27."""
MAX_OCCLUDED_SHIFT = 2.0
"""The same behind another face, where it moves on unseen."""
ALIKE = 0.7
"""Correlation from which a face that comes out from behind another is taken for the one that went there."""
CLEARLY = 0.05
"""Difference of two correlations from which the looks, not the motion, say whose face it is."""


@dataclass(slots=True)
class Track:
    """A face that is followed."""

    id: int
    prediction: Prediction
    """The last one."""
    face: Face
    """As last reported."""
    seen_ns: int
    """When it was last seen."""
    verified_ns: int
    """When Haar last saw it too; counts for networks without a score only."""
    seen: bool = True
    """In the newest frame."""
    occluded: bool = False
    """Behind another face that is followed."""
    smooth: OneEuro | None = None
    measures: FaceMeasures | None = None
    """What is usual for it, and its blinks, where faces are measured."""
    appearance: NDArray[np.float32] | None = None
    """What it looks like, where several faces may be followed."""
    _velocity: tuple[float, float] = field(default=(0.0, 0.0))
    """Pixels a second."""
    _velocity_before_occlusion: tuple[float, float] = field(default=(0.0, 0.0))
    """The same before it came beside another face: half a face gives wrong points, and these a wrong velocity."""

    def predicted_crop(self, at_ns: int) -> Crop:
        """Where to look for it: the last crop, moved on at constant velocity."""
        crop, seconds = self.prediction.crop, (at_ns - self.seen_ns) / 1e9
        if seconds <= 0:
            return crop
        dx, dy = (speed * seconds for speed in (self._velocity_before_occlusion if self.occluded else self._velocity))
        limit = crop.side * (MAX_OCCLUDED_SHIFT if self.occluded else MAX_PREDICTED_SHIFT)
        shrink = min(1.0, limit / max(math.hypot(dx, dy), 1e-9))
        return Crop(crop.x + dx * shrink, crop.y + dy * shrink, crop.side, crop.roll)

    def move(self, prediction: Prediction, at_ns: int, *, near_other: bool) -> None:
        """Takes what was seen of it now, `near_other` another face or not."""
        seconds = (at_ns - self.seen_ns) / 1e9
        if seconds > 0:
            new = (
                (prediction.crop.x - self.prediction.crop.x) / seconds,
                (prediction.crop.y - self.prediction.crop.y) / seconds,
            )
            self._velocity = ((self._velocity[0] + new[0]) / 2, (self._velocity[1] + new[1]) / 2)
        if not near_other:
            self._velocity_before_occlusion = self._velocity
        self.prediction, self.seen_ns, self.seen, self.occluded = prediction, at_ns, True, False

    def reacquire(self, prediction: Prediction, at_ns: int) -> None:
        """Takes what a search found of it: how it came there is not known."""
        self._velocity = self._velocity_before_occlusion = (0.0, 0.0)
        self.prediction, self.seen_ns, self.verified_ns, self.seen, self.occluded = (
            prediction,
            at_ns,
            at_ns,
            True,
            False,
        )

    def remember(self, prediction: Prediction) -> None:
        """Learns what it looks like."""
        new = coarse_pattern(prediction.pixels)
        self.appearance = new if self.appearance is None else (0.9 * self.appearance + 0.1 * new).astype(np.float32)

    def similarity(self, prediction: Prediction) -> float:
        """Correlation of what is in `prediction` with what this face looked like, -1 to 1."""
        return 0.0 if self.appearance is None else float(np.vdot(self.appearance, coarse_pattern(prediction.pixels)))

    def may_be(self, prediction: Prediction, at_ns: int) -> bool:
        """Whether what a search found is this face, which was not seen for a while."""
        if iou(box_around(prediction.crop), box_around(self.predicted_crop(at_ns))) >= SAME_FACE:
            return True
        return (
            self.occluded and self.away(prediction, at_ns) < MAX_OCCLUDED_SHIFT and self.similarity(prediction) > ALIKE
        )

    def away(self, prediction: Prediction, at_ns: int) -> float:
        """How far `prediction` is from where this face was expected, in sides."""
        expected = self.predicted_crop(at_ns)
        shift = math.hypot(prediction.crop.x - expected.x, prediction.crop.y - expected.y) / expected.side
        return shift + abs(math.log(prediction.crop.side / expected.side))


def is_on(crop: Crop, others: Sequence[Track], least: float = SAME_FACE) -> bool:
    """Whether `crop` shows the face of one of `others`."""
    box = box_around(crop)
    return any(iou(box, box_around(other.prediction.crop)) >= least for other in others)


def is_near(crop: Crop, others: Sequence[Track]) -> bool:
    """Whether the head in `crop` may cover part of one of `others`, or one of them part of it."""
    return any(
        math.hypot(crop.x - other.prediction.crop.x, crop.y - other.prediction.crop.y)
        < NEAR * (crop.side + other.prediction.crop.side) / 2
        for other in others
    )


def occluded_tracks(seen: Sequence[tuple[Track, Prediction]], at_ns: int) -> set[int]:
    """Ids of those that saw the face of another: of two tracks on one face, whose it is not.

    Who was hidden stays so as long as both see one face. Else the looks say, or where those are alike, who had to jump.
    """
    occluded: set[int] = set()
    for index, (a, prediction_a) in enumerate(seen):
        for b, prediction_b in seen[index + 1 :]:
            if {a.id, b.id} & occluded or iou(box_around(prediction_a.crop), box_around(prediction_b.crop)) < ONE_FACE:
                continue
            if a.occluded != b.occluded:
                occluded.add(a.id if a.occluded else b.id)
                continue
            likeness = a.similarity(prediction_a) - b.similarity(prediction_b)
            if abs(likeness) < CLEARLY:
                likeness = b.away(prediction_b, at_ns) - a.away(prediction_a, at_ns)
            occluded.add(b.id if likeness >= 0 else a.id)
    return occluded
