"""Frame -> Observation: search once, then track from the last points. No threads, sockets or clocks in here.

Time comes with the frame, so that every behaviour can be tested on arrays; how long stages took is noted beside it, and
nothing depends on that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import numpy as np
from msgspec import Meta

from fkp_edge.core.geometry import Crop, box_around, iou
from fkp_edge.core.observation import Face, Frame, Observation, State
from fkp_edge.core.settings import Seconds, Settings, Share
from fkp_edge.device.detection.base import Search, as_crop
from fkp_edge.device.detection.proposals import Proposals
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.pose import MeasureSettings, Measuring, head_pose
from fkp_edge.device.tracking.smoothing import OneEuro, SmoothingSettings
from fkp_edge.device.tracking.tracker import (
    BEHIND,
    HOPELESS,
    MAX_REFINEMENTS,
    SAME_FACE,
    Prediction,
    Track,
    agree,
    is_near,
    is_on,
    occluded_tracks,
    predict_crop,
)
from fkp_edge.model.interpreter import KeypointModel

__all__ = ["MAX_FACES", "MAX_LOOKS", "Engine", "EngineSettings"]

MAX_FACES = 4

MAX_LOOKS = 6
"""Looks of the network at proposals in one frame: bounds its time."""
QUICK_EVERY_S = 0.15
"""Between two looks of a quick search for one more face."""


class EngineSettings(Settings, frozen=True, kw_only=True):
    """When a face counts as found, kept and lost."""

    max_faces: Annotated[int, Meta(ge=1, le=MAX_FACES)] = 1
    """Faces followed at a time; each costs an inference a frame."""
    found_score: Share = 0.9
    """Score from which a proposed box is a face."""
    kept_score: Share = 0.5
    """Score below which a tracked face is not seen: lower than `found_score`, so that it does not flicker."""
    hold_s: Seconds = 0.25
    """How long a face that is not seen is held before it counts as lost."""
    hidden_s: Seconds = 2.0
    """How long a face behind another one is waited for."""
    search_every_s: Seconds = 0.1
    """Time between whole-frame searches at least."""
    new_face_every_s: Seconds = 1.0
    """The same while faces are tracked and `max_faces` allows for more."""
    verify_every_s: Seconds = 1.0
    """How often Haar verifies the face of a network without a score."""
    smallest_side: Annotated[float, Meta(ge=8, le=4096)] = 24.0
    """A crop whose side falls below this many frame pixels is no face any more."""


class Engine:
    """Follows faces. Not for use by two threads at once."""

    def __init__(
        self,
        model: KeypointModel,
        search: Search,
        settings: EngineSettings | None = None,
        smoothing: SmoothingSettings | None = None,
        *,
        measures: MeasureSettings | None = None,
        times: StageTimes | None = None,
    ) -> None:
        self._model = model
        self._search = search
        self._settings = settings or EngineSettings()
        self._smoothing = smoothing or SmoothingSettings()
        self._measuring = Measuring(model.schema, measures) if measures is not None and measures.enabled else None
        self.times = times or StageTimes()
        self._tracks: list[Track] = []
        self._next_id = 1
        self._searched_ns: int | None = None
        self._proposals = Proposals()
        self._last_sequence = -1
        self._shape: tuple[int, ...] = ()
        self.best_proposal: tuple[float, float] | None = None
        """The best score that a proposal got, and the side of its crop in frame pixels; None before any."""

    def process(self, frame: Frame) -> Observation:
        """What is seen in `frame`, given the frames before it."""
        if frame.grey.shape != self._shape:  # other pixels: no place in the frame before is one in this
            self._tracks, self._shape = [], frame.grey.shape
            self._proposals.forget()
        dropped = max(0, frame.sequence - self._last_sequence - 1)
        self._last_sequence = frame.sequence
        self._follow(frame)
        self._find(frame)
        seen = tuple(track.face for track in self._tracks if track.seen)
        held = tuple(replace(track.face, held=True) for track in self._tracks if not track.seen)
        state = State.TRACKING if seen else State.HELD if held else State.SEARCHING
        return Observation(frame.sequence, frame.captured_ns, state, seen + held, dropped)

    def _follow(self, frame: Frame) -> None:
        """Looks where each face is expected, and forgets those that were not seen for long."""
        now = frame.captured_ns
        verified = {} if self._model.has_score else self._verify(frame)
        seen = []
        for track in self._tracks:
            track.seen = False
            track.seen_ns = min(track.seen_ns, now)  # a clock that went back must not hold a face until it caught up
            prediction = predict_crop(
                self._model, frame.grey, verified.get(track.id) or track.predicted_crop(now), self.times
            )
            least = self._settings.found_score if track.occluded else self._settings.kept_score
            if self._is_face(prediction.crop, frame) and prediction.score >= least:
                seen.append((track, prediction))
        occluded = occluded_tracks(seen, now) if len(seen) > 1 else set()
        for track, prediction in seen:
            if track.id not in occluded:
                track.move(prediction, now, near_other=self._is_near_other(prediction, track))
                self._report(track)
        in_front = [track for track in self._tracks if track.seen]
        for track in self._tracks:
            if not track.seen:
                track.occluded = track.occluded or is_on(track.predicted_crop(now), in_front, BEHIND)
        self._tracks = [track for track in self._tracks if track.seen or not self._is_lost(track, now)]

    def _is_face(self, crop: Crop, frame: Frame) -> bool:
        height, width = frame.grey.shape
        inside = 0 <= crop.x < width and 0 <= crop.y < height
        return bool(inside and self._settings.smallest_side <= crop.side <= 2 * max(width, height))

    def _is_lost(self, track: Track, now: int) -> bool:
        wait_s = self._settings.hidden_s if track.occluded else self._settings.hold_s
        return bool((now - track.seen_ns) / 1e9 > wait_s)

    def _verify(self, frame: Frame) -> dict[int, Crop]:
        """Where Haar sees the faces of a network without a score, by id; forgets those it does not see.

        Without a score only Haar can say, now and then, whether a track has drifted onto the background. Its box then
        is what to go on from: such networks have seen faces framed as their authors framed them, and their own points
        lead them further off from frame to frame.
        """
        every_ns = self._settings.verify_every_s * 1e9
        due = [t for t in self._tracks if not 0 <= frame.captured_ns - t.verified_ns < every_ns]
        boxes = self._search.look(frame) if due else None
        if boxes is None:
            return {}
        found: dict[int, Crop] = {}
        for track in due:
            here = box_around(track.prediction.crop)
            crop = max(map(as_crop, boxes), key=lambda crop: iou(box_around(crop), here), default=None)
            if crop is None or iou(box_around(crop), here) < SAME_FACE:
                self._tracks.remove(track)
            else:
                track.verified_ns, found[track.id] = frame.captured_ns, crop
        return found

    def _find(self, frame: Frame) -> None:
        """Searches the whole frame, where it is time to; follows what it finds.

        All that a search proposes is looked at, over several frames, before the next answer is asked for.
        """
        if not self._room():
            self._proposals.drop()
            return
        if not self._proposals and self._is_due(frame):
            boxes = self._search.look(frame, following=any(track.seen for track in self._tracks))
            if boxes is not None:
                self._searched_ns = frame.captured_ns
                self._proposals.take(map(as_crop, boxes), frame.grey, frame.captured_ns)
        self._inspect(frame)

    def _is_due(self, frame: Frame) -> bool:
        """Whether it is time for the next search: a quick one may look in every frame."""
        if self._tracks and all(track.seen for track in self._tracks):
            every_s = QUICK_EVERY_S if self._search.quick else self._settings.new_face_every_s
        else:
            every_s = 0.0 if self._search.quick else self._settings.search_every_s
        since = None if self._searched_ns is None else frame.captured_ns - self._searched_ns
        return since is None or not 0 <= since < every_s * 1e9

    def _room(self) -> int:
        """New faces that may be followed."""
        return self._settings.max_faces - sum(track.seen for track in self._tracks)

    def _inspect(self, frame: Frame) -> None:
        """Follows proposals on which the network settles, as `refine_crop` does.

        While a face is followed that takes one look a frame, so that frame is hardly later than others: the next look
        is at the next frame, which is how tracking goes on anyway.
        """
        left = 1 if any(track.seen for track in self._tracks) else MAX_LOOKS
        while left and self._room() and (candidate := self._proposals.next()):
            seen = [track for track in self._tracks if track.seen]
            if is_on(candidate.crop, seen):
                continue
            prediction = predict_crop(self._model, frame.grey, candidate.crop, self.times)
            candidate.looks, left = candidate.looks + 1, left - 1
            if self.best_proposal is None or prediction.score > self.best_proposal[0]:
                self.best_proposal = (prediction.score, candidate.crop.side)
            settled = agree(candidate.crop, prediction.crop)
            if not settled and candidate.looks < MAX_REFINEMENTS and prediction.score >= HOPELESS:
                candidate.crop = prediction.crop
                self._proposals.put_back(candidate)
            elif settled and self._is_new(prediction, seen, frame):
                self._follow_from_now(prediction, frame)
            else:
                self._proposals.no_face(candidate, frame.captured_ns)

    def _is_new(self, prediction: Prediction, seen: Sequence[Track], frame: Frame) -> bool:
        sure = prediction.score >= self._settings.found_score
        return sure and self._is_face(prediction.crop, frame) and not is_on(prediction.crop, seen)

    def _follow_from_now(self, prediction: Prediction, frame: Frame) -> None:
        now = frame.captured_ns
        unseen = [track for track in self._tracks if not track.seen]
        for track in unseen:
            if track.may_be(prediction, now):
                track.reacquire(prediction, now)
                self._report(track)
                return
        if len(self._tracks) >= self._settings.max_faces:  # a face that is there counts more than one that was
            self._tracks.remove(min(unseen, key=lambda track: track.seen_ns))
        track = Track(self._next_id, prediction, _raw_face(self._next_id, prediction), now, now)
        if self._smoothing.enabled:
            track.smooth = OneEuro(self._smoothing)
        self._next_id += 1
        self._tracks.append(track)
        self._report(track)

    def _report(self, track: Track) -> None:
        """Makes the face that is reported of a track, smoothed, with its pose; learns its looks beside others."""
        prediction = track.prediction
        points, crop = prediction.points, prediction.crop
        if track.smooth is not None:
            with self.times.stage("filter"):
                rows = np.empty((len(points) + 2, 2))
                rows[:-2], rows[-2:] = points, ((crop.x, crop.y), (crop.side, 0.0))
                rows = track.smooth(rows, track.seen_ns, crop.side)
                (x, y), (side, _) = rows[-2:].tolist()
                points, crop = rows[:-2].astype(np.float32), Crop(x, y, side, crop.roll)
        with self.times.stage("pose"):
            pose = head_pose(points, self._model.schema)
        measures, position = None, None
        if self._measuring is not None:
            with self.times.stage("measures"):
                if track.measures is None:
                    track.measures = self._measuring.begin()
                measures = track.measures.update(prediction.points, pose, track.seen_ns)
                position = self._measuring.position(points, pose, (self._shape[1], self._shape[0]))
        track.face = Face(
            track.id, prediction.score, box_around(crop), points, pose, measures=measures, position=position
        )
        if self._settings.max_faces > 1 and not self._is_near_other(prediction, track):
            track.remember(prediction)

    def _is_near_other(self, prediction: Prediction, track: Track) -> bool:
        return is_near(prediction.crop, [other for other in self._tracks if other is not track])


def _raw_face(number: int, prediction: Prediction) -> Face:
    return Face(number, prediction.score, box_around(prediction.crop), prediction.points)
