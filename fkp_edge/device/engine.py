"""Frame -> Observation: search once, then track from the last points. No threads, sockets or clocks in here.

Time comes with the frame, so that every behaviour can be tested on arrays; how long stages took is noted beside it, and
nothing depends on that.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkp_edge.device.search import Search
from fkp_edge.device.timing import StageTimes
from fkp_edge.geometry import Box, Crop, box_around, crop_from_box, crop_from_track, extract, iou
from fkp_edge.interpreter import KeypointModel
from fkp_edge.keypoints import Points
from fkp_edge.observation import Face, Frame, Observation, State

__all__ = ["Engine", "EngineSettings", "Sight", "look_at", "settle"]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """When a face counts as found, kept and lost."""

    found_score: float = 0.9
    """Score from which a proposed box is a face."""
    kept_score: float = 0.5
    """Score below which a tracked face is not seen: lower than `found_score`, so that it does not flicker."""
    hold_s: float = 0.25
    """How long a face that is not seen is held before it counts as lost."""
    search_every_s: float = 0.1
    """Time between whole-frame searches at least."""
    verify_every_s: float = 1.0
    """How often Haar verifies the face of a network without a score."""
    smallest_side: float = 24.0
    """A crop whose side falls below this many frame pixels is no face any more."""


class Sight(NamedTuple):
    """What the network saw in one crop."""

    points: Points
    """(K, 2), frame pixels."""
    score: float
    crop: Crop
    """The crop that these points ask for: where to look next, and what is reported as the face's box."""


@dataclass(frozen=True, slots=True)
class _Track:
    """The face being followed."""

    id: int
    sight: Sight
    seen_ns: int
    """When it was last seen."""
    verified_ns: int
    """When Haar last saw it too; counts for networks without a score only."""


def look_at(model: KeypointModel, grey: NDArray[np.uint8], crop: Crop, times: StageTimes) -> Sight:
    """Runs `model` on one crop of `grey`."""
    with times.stage("crop"):
        pixels = extract(grey, crop)
    with times.stage("infer"):
        raw = model.invoke(pixels)
    with times.stage("decode"):
        units, score = model.decode(*raw)
        if not np.isfinite(units).all():  # a damaged float network: nothing was seen
            units, score = model.schema.mean_shape, 0.0
        points = crop.to_frame(units)
        return Sight(points, score, crop_from_track(points, model.schema.mean_shape))


def settle(model: KeypointModel, grey: NDArray[np.uint8], crop: Crop, times: StageTimes) -> Sight | None:
    """Runs `model` on a proposed crop, then on the crop that the points found there ask for, until the two agree.

    None where they do not within four looks: the box was stale or framed half a face, and the points are guesses.
    """
    for _ in range(MOST_LOOKS):
        sight = look_at(model, grey, crop, times)
        if _agree(crop, sight.crop):
            return sight
        crop = sight.crop
    return None


def _agree(a: Crop, b: Crop) -> bool:
    shift = math.hypot(a.x - b.x, a.y - b.y)
    turn = abs(math.remainder(a.roll - b.roll, 2 * math.pi))
    return shift < 0.08 * b.side and abs(math.log(a.side / b.side)) < 0.15 and turn < math.radians(8)


class Engine:
    """Follows one face. Not for use by two threads at once."""

    def __init__(
        self,
        model: KeypointModel,
        search: Search,
        settings: EngineSettings | None = None,
        *,
        times: StageTimes | None = None,
    ) -> None:
        self._model = model
        self._search = search
        self._settings = settings or EngineSettings()
        self.times = times or StageTimes()
        self._track: _Track | None = None
        self._next_id = 1
        self._searched_ns: int | None = None
        self._last_sequence = -1

    def process(self, frame: Frame) -> Observation:
        """What is seen in `frame`, given the frames before it."""
        dropped = max(0, frame.sequence - self._last_sequence - 1)
        self._last_sequence = frame.sequence
        state = self._follow(frame)
        faces: tuple[Face, ...] = ()
        if self._track is not None:
            sight = self._track.sight
            faces = (Face(self._track.id, sight.score, box_around(sight.crop), sight.points),)
        return Observation(frame.sequence, frame.captured_ns, state, faces, dropped)

    def _follow(self, frame: Frame) -> State:
        track = self._track
        if track is not None:
            sight = look_at(self._model, frame.grey, track.sight.crop, self.times)
            if self._still_there(sight, frame) and (seen := self._verified(frame, sight)):
                self._track = replace(self._track or track, sight=seen, seen_ns=frame.captured_ns)
                return State.TRACKING
            if self._track is not None and frame.captured_ns - track.seen_ns > self._settings.hold_s * 1e9:
                self._track = None
        if self._find(frame):
            return State.TRACKING
        return State.HELD if self._track is not None else State.SEARCHING

    def _still_there(self, sight: Sight, frame: Frame) -> bool:
        height, width = frame.grey.shape
        inside = 0 <= sight.crop.x < width and 0 <= sight.crop.y < height
        sized = self._settings.smallest_side <= sight.crop.side <= 2 * max(width, height)
        return inside and sized and sight.score >= self._settings.kept_score

    def _verified(self, frame: Frame, sight: Sight) -> Sight | None:
        """What to go on from; None where the track has drifted onto the background.

        Without a score only Haar can say so, now and then. Its box then is what to go on from: such networks have seen
        faces framed as their authors framed them, and their own points lead them further off from frame to frame.
        """
        track = self._track
        if self._model.has_score or track is None:
            return sight
        if frame.captured_ns - track.verified_ns < self._settings.verify_every_s * 1e9:
            return sight
        boxes = self._search.look(frame)
        if boxes is None:
            return sight
        here = box_around(sight.crop)
        box = max(boxes, key=lambda box: iou(box, here), default=None)
        if box is None or iou(box, here) < SAME_FACE:
            self._track = None
            return None
        self._track = replace(track, verified_ns=frame.captured_ns)
        return look_at(self._model, frame.grey, crop_from_box(box), self.times)

    def _find(self, frame: Frame) -> bool:
        """Searches the whole frame, where it is time to; True where a face is followed from now on."""
        since = None if self._searched_ns is None else frame.captured_ns - self._searched_ns
        if since is not None and 0 <= since < self._settings.search_every_s * 1e9:
            return False
        boxes = self._search.look(frame)
        if boxes is None:
            return False
        self._searched_ns = frame.captured_ns
        sight = self._best_of(frame, boxes)
        if sight is None:
            return False
        held = self._track
        if held is not None and iou(box_around(sight.crop), box_around(held.sight.crop)) >= SAME_FACE:
            number = held.id
        else:
            number, self._next_id = self._next_id, self._next_id + 1
        self._track = _Track(number, sight, frame.captured_ns, frame.captured_ns)
        return True

    def _best_of(self, frame: Frame, boxes: Sequence[Box]) -> Sight | None:
        """The first of the largest boxes that holds a face on which the network settles."""
        for box in boxes[:MOST_BOXES]:
            sight = settle(self._model, frame.grey, crop_from_box(box), self.times)
            if sight and sight.score >= self._settings.found_score and self._still_there(sight, frame):
                return sight
        return None


SAME_FACE = 0.2
"""Intersection over union from which a box is taken for that of the face followed so far."""
MOST_LOOKS = 4
MOST_BOXES = 5
"""Boxes of one search that are looked at: bounds the time of a frame."""
