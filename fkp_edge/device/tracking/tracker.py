"""One followed face: where it is expected next, what it looks like, and which of two tracks on one face is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop, box_around, iou
from fkp_edge.core.measures import FaceMeasures
from fkp_edge.core.observation import Face
from fkp_edge.device.appearance import coarse_pattern
from fkp_edge.device.tracking.refinement import Prediction
from fkp_edge.device.tracking.smoothing import OneEuro

__all__ = ["BEHIND", "SAME_FACE", "Track", "is_near", "is_on", "occluded_tracks"]

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
