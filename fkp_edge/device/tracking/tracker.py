"""One followed face: where it is expected next, what it looks like, and which of two tracks on one face is wrong."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop, box_around, iou
from fkp_edge.core.observation import Face
from fkp_edge.device.tracking.refinement import Sight
from fkp_edge.device.tracking.smoothing import OneEuro

__all__ = ["BEHIND", "SAME_FACE", "Track", "hidden_tracks", "is_near", "is_on"]

SAME_FACE = 0.2
"""Intersection over union from which a box is taken for that of a face that is followed."""
ONE_FACE = 0.4
"""Intersection over union of two tracks' crops from which both are on one face."""
BEHIND = 0.1
"""Intersection over union from which a face that is not seen may be behind another."""
NEAR = 1.4
"""Distance, in sides, below which one head may cover part of another: heads are wider than their faces' crops."""
FARTHEST_GUESS = 0.25
"""Of a side: how far ahead of its last place a face is looked for at most; the network's own reach is 0.27."""
FARTHEST_HIDDEN = 2.0
"""The same behind another face, where it moves on unseen."""
LOOKS_LIKE = 12
"""Side of the small picture by which two faces are told apart."""
ALIKE = 0.7
"""Correlation from which a face that comes out from behind another is taken for the one that went there."""
CLEARLY = 0.05
"""Difference of two correlations from which the looks, not the motion, say whose face it is."""


@dataclass(slots=True)
class Track:
    """A face that is followed."""

    id: int
    sight: Sight
    """The last one."""
    face: Face
    """As last reported."""
    seen_ns: int
    """When it was last seen."""
    verified_ns: int
    """When Haar last saw it too; counts for networks without a score only."""
    seen: bool = True
    """In the newest frame."""
    hidden: bool = False
    """Behind another face that is followed."""
    smooth: OneEuro | None = None
    looks: NDArray[np.float32] | None = None
    """What it looks like, where several faces may be followed."""
    _velocity: tuple[float, float] = field(default=(0.0, 0.0))
    """Pixels a second."""
    _course: tuple[float, float] = field(default=(0.0, 0.0))
    """The same before it came beside another face: half a face gives wrong points, and these a wrong velocity."""

    def guess(self, at_ns: int) -> Crop:
        """Where to look for it: the last crop, moved on at constant velocity."""
        crop, seconds = self.sight.crop, (at_ns - self.seen_ns) / 1e9
        if seconds <= 0:
            return crop
        dx, dy = (speed * seconds for speed in (self._course if self.hidden else self._velocity))
        limit = crop.side * (FARTHEST_HIDDEN if self.hidden else FARTHEST_GUESS)
        shrink = min(1.0, limit / max(math.hypot(dx, dy), 1e-9))
        return Crop(crop.x + dx * shrink, crop.y + dy * shrink, crop.side, crop.roll)

    def move(self, sight: Sight, at_ns: int, *, beside: bool) -> None:
        """Takes what was seen of it now, `beside` another face or not."""
        seconds = (at_ns - self.seen_ns) / 1e9
        if seconds > 0:
            new = ((sight.crop.x - self.sight.crop.x) / seconds, (sight.crop.y - self.sight.crop.y) / seconds)
            self._velocity = ((self._velocity[0] + new[0]) / 2, (self._velocity[1] + new[1]) / 2)
        if not beside:
            self._course = self._velocity
        self.sight, self.seen_ns, self.seen, self.hidden = sight, at_ns, True, False

    def revive(self, sight: Sight, at_ns: int) -> None:
        """Takes what a search found of it: how it came there is not known."""
        self._velocity = self._course = (0.0, 0.0)
        self.sight, self.seen_ns, self.verified_ns, self.seen, self.hidden = sight, at_ns, at_ns, True, False

    def remember(self, sight: Sight) -> None:
        """Learns what it looks like."""
        new = _small(sight.pixels)
        self.looks = new if self.looks is None else (0.9 * self.looks + 0.1 * new).astype(np.float32)

    def is_like(self, sight: Sight) -> float:
        """Correlation of what is in `sight` with what this face looked like, -1 to 1."""
        return 0.0 if self.looks is None else float(np.vdot(self.looks, _small(sight.pixels)))

    def may_be(self, sight: Sight, at_ns: int) -> bool:
        """Whether what a search found is this face, which was not seen for a while."""
        if iou(box_around(sight.crop), box_around(self.guess(at_ns))) >= SAME_FACE:
            return True
        return self.hidden and self.away(sight, at_ns) < FARTHEST_HIDDEN and self.is_like(sight) > ALIKE

    def away(self, sight: Sight, at_ns: int) -> float:
        """How far `sight` is from where this face was expected, in sides."""
        guess = self.guess(at_ns)
        shift = math.hypot(sight.crop.x - guess.x, sight.crop.y - guess.y) / guess.side
        return shift + abs(math.log(sight.crop.side / guess.side))


def _small(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The picture's coarse pattern, whatever its light: zero mean, unit length."""
    small = cv2.resize(pixels, (LOOKS_LIKE, LOOKS_LIKE), interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-6)


def is_on(crop: Crop, others: Sequence[Track], least: float = SAME_FACE) -> bool:
    """Whether `crop` shows the face of one of `others`."""
    box = box_around(crop)
    return any(iou(box, box_around(other.sight.crop)) >= least for other in others)


def is_near(crop: Crop, others: Sequence[Track]) -> bool:
    """Whether the head in `crop` may cover part of one of `others`, or one of them part of it."""
    return any(
        math.hypot(crop.x - other.sight.crop.x, crop.y - other.sight.crop.y)
        < NEAR * (crop.side + other.sight.crop.side) / 2
        for other in others
    )


def hidden_tracks(seen: Sequence[tuple[Track, Sight]], at_ns: int) -> set[int]:
    """Ids of those that saw the face of another: of two tracks on one face, whose it is not.

    Who was hidden stays so as long as both see one face. Else the looks say, or where those are alike, who had to jump.
    """
    hidden: set[int] = set()
    for index, (a, sight_a) in enumerate(seen):
        for b, sight_b in seen[index + 1 :]:
            if {a.id, b.id} & hidden or iou(box_around(sight_a.crop), box_around(sight_b.crop)) < ONE_FACE:
                continue
            if a.hidden != b.hidden:
                hidden.add(a.id if a.hidden else b.id)
                continue
            likeness = a.is_like(sight_a) - b.is_like(sight_b)
            if abs(likeness) < CLEARLY:
                likeness = b.away(sight_b, at_ns) - a.away(sight_a, at_ns)
            hidden.add(b.id if likeness >= 0 else a.id)
    return hidden
