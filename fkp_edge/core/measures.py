"""Measures of a face from its points: open eyes and mouth, blinks, smile, raised brows. Arrays and floats, no clock.

Lengths are divided by the distance between the pupils as a camera in front of the face would see it, so that neither
the distance to the camera nor a turned head changes them. Openness of an eye and height of a brow are then divided by
what is usual for that person, which is learnt within seconds. Ratios of eyelid distances as a sign of blinks come from
Soukupova and Cech, "Real-Time Eye Blink Detection using Facial Landmarks", CVWW 2016.
"""

from __future__ import annotations

import bisect
import math
from collections import deque
from typing import NamedTuple

from fkp_edge.core.keypoints import FKP15, IBUG68, Points, Schema
from fkp_edge.errors import InputError

__all__ = ["MAX_YAW", "Blink", "FaceMeasures", "Measures"]

MAX_YAW = 40.0
"""Degrees to either side; beyond, the far eye and half of the mouth are hidden, and nothing is measured."""
PERSON_S = 20.0
"""How far back a person's usual values go."""
SAMPLE_NS = 200_000_000
"""Between two samples of them."""
SETTLED = 10
"""Samples from which a person's own values outweigh those of people in general."""
USUAL_EYE = 0.127
"""Lid distance in pupil distances: median of 1,346 hand-labelled faces (LFPW and HELEN training sets, yaw below 35)."""
SHUT = 0.5
"""Share of what is usual below which an eye is not taken for open."""
LEVEL_NS = 1_000_000_000
"""How far back the level goes from which a blink dips: longer than a blink, shorter than a change of expression."""
LEAST_DIP, DIP_IN_NOISE = 0.06, 4.0
"""A blink dips below the level by this share of it, and by this many standard deviations of one face's noise; it ends
half as deep. Chosen on val/: networks report eyes that are shut for a moment as three quarters open."""
ONSET_NS = 150_000_000
"""A blink falls from the level within this time; eyes that narrow more slowly do not blink."""
MIN_LEVEL, MIN_STEPS = 5, 45
"""Frames from which there is a level, and from which the noise is known."""
STEP_OF_NOISE = 0.954
"""Median of a step between two frames, in standard deviations of one: 0.6745 times the square root of 2."""
MIN_BLINK_NS, MAX_BLINK_NS = 30_000_000, 500_000_000
"""Shorter is noise; longer are eyes that are closed."""
CLOSED_LIPS = 0.23
"""Outer lips' distance of a closed mouth in pupil distances: median of the faces above whose inner lips meet."""


class _Parts(NamedTuple):
    """Which points make what; left and right are the subject's."""

    left_eye: slice
    right_eye: slice
    left_brow: slice
    right_brow: slice


PARTS = {
    "fkp15": _Parts(slice(0, 1), slice(1, 2), slice(6, 8), slice(8, 10)),
    "ibug68": _Parts(slice(42, 48), slice(36, 42), slice(22, 27), slice(17, 22)),
}


class Blink(NamedTuple):
    """Both eyes shut for a moment."""

    start_ns: int
    """Of the first frame with shut eyes; the clock of the frames."""
    end_ns: int
    """Of the first frame in which they are open again."""

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return (self.end_ns - self.start_ns) / 1e9


class Measures(NamedTuple):
    """What a face does. None where its points, or its pose, do not tell.

    >>> import fkp_edge as fkp
    >>> with fkp.Tracker("keypoints68-int8", measures=True) as tracker:
    ...     measures = tracker(fkp.demo_picture(), time_s=0.0)[0].measures
    >>> measures.eye_open_left > 0.5, measures.smile > 0.5, measures.blinks
    (True, True, 0)
    """

    eye_open_left: float | None = None
    """The subject's left eye: 0 shut, 1 as open as is usual for this person, up to 2."""
    eye_open_right: float | None = None
    """The subject's right eye."""
    mouth_open: float | None = None
    """Distance between the lips in pupil distances: 0 closed, about 0.3 speaking loudly, up to 1.5."""
    mouth_wide: float | None = None
    """Width of the mouth in pupil distances: about 0.85 at rest, 1.1 in a broad smile."""
    smile: float | None = None
    """0 none to 1 broad: how far the corners of the mouth stand above its middle, and how wide it is."""
    brow_raise_left: float | None = None
    """Height of the subject's left brow above the eye: 1 as is usual for this person, 1.3 clearly raised."""
    brow_raise_right: float | None = None
    """Height of the subject's right brow."""
    blinks: int | None = None
    """Blinks since the face was found; None where the points have no eyelids."""
    blink: Blink | None = None
    """The last one; None before any."""


class FaceMeasures:
    """Measures one face from frame to frame, and learns what is usual for it. Make a new one for each face id.

    >>> from fkp_edge.core.keypoints import IBUG68
    >>> face = FaceMeasures(IBUG68)
    >>> round(face.update(IBUG68.mean_shape * 100, pose=(0.0, 0.0, 0.0), at_ns=0).eye_open_left, 1)
    1.0
    """

    def __init__(self, schema: Schema) -> None:
        """Measures points of `schema`.

        Raises:
            InputError: neither `fkp15` nor `ibug68`.
        """
        if schema not in (FKP15, IBUG68):
            raise InputError(f"nothing is measured on points of schema {schema.name!r}; expected fkp15 or ibug68")
        self._schema = schema
        self._eyes = (_Usual(USUAL_EYE), _Usual(USUAL_EYE))
        self._brows = (_Usual(None), _Usual(None))
        self._dips = _Dips()
        self._blinks: int | None = None if schema is FKP15 else 0
        self._blink: Blink | None = None

    def update(self, points: Points, pose: tuple[float, float, float] | None, at_ns: int) -> Measures:
        """Measures one frame.

        Args:
            points: (K, 2), pixels, of the schema; smoothed or not.
            pose: yaw, pitch and roll of the head in degrees, as observations carry it.
            at_ns: when the frame was taken; any clock that does not go back.

        Returns:
            The measures; none but the blinks so far where the pose is not known or yaw is beyond `MAX_YAW`.
        """
        if pose is None or abs(pose[0]) > MAX_YAW:
            self._dips.forget()
            return Measures(blinks=self._blinks, blink=self._blink)
        x, y = points.T.tolist()
        parts = PARTS[self._schema.name]
        left, right = _middle(x, y, parts.left_eye), _middle(x, y, parts.right_eye)
        across = (left[0] - right[0], left[1] - right[1])
        seen = math.hypot(*across)
        if not 0 < seen < math.inf:
            return Measures(blinks=self._blinks, blink=self._blink)
        unit = seen / math.cos(math.radians(pose[0]))
        up = (across[1] / seen, -across[0] / seen)
        brows = (
            self._brow(0, _middle(x, y, parts.left_brow), left, up, unit, at_ns),
            self._brow(1, _middle(x, y, parts.right_brow), right, up, unit, at_ns),
        )
        if self._schema is FKP15:
            mouth_open = max(0.0, _distance(x, y, 13, 14) / unit - CLOSED_LIPS)
            return Measures(
                mouth_open=mouth_open,
                brow_raise_left=brows[0],
                brow_raise_right=brows[1],
            )
        eye_left = self._eyes[0].ratio((_distance(x, y, 43, 47) + _distance(x, y, 44, 46)) / 2 / unit, at_ns)
        eye_right = self._eyes[1].ratio((_distance(x, y, 37, 41) + _distance(x, y, 38, 40)) / 2 / unit, at_ns)
        if (blink := self._dips.update((eye_left + eye_right) / 2, at_ns)) is not None:
            self._blinks, self._blink = (self._blinks or 0) + 1, blink
        wide = _distance(x, y, 48, 54) / unit
        corners, middle = ((x[48] + x[54]) / 2, (y[48] + y[54]) / 2), ((x[51] + x[57]) / 2, (y[51] + y[57]) / 2)
        lift = _along(corners, middle, up) / unit
        return Measures(
            eye_open_left=min(2.0, eye_left),
            eye_open_right=min(2.0, eye_right),
            mouth_open=_distance(x, y, 62, 66) / unit,
            mouth_wide=wide,
            smile=min(1.0, max(0.0, (wide - 0.85) / 0.5 + (lift - 0.07) / 0.26)),
            brow_raise_left=brows[0],
            brow_raise_right=brows[1],
            blinks=self._blinks,
            blink=self._blink,
        )

    def _brow(
        self,
        side: int,
        brow: tuple[float, float],
        eye: tuple[float, float],
        up: tuple[float, float],
        unit: float,
        at_ns: int,
    ) -> float:
        return min(3.0, max(0.0, self._brows[side].ratio(_along(brow, eye, up) / unit, at_ns)))


class _Dips:
    """Finds blinks: short dips of the openness below its level, clear of the noise."""

    def __init__(self) -> None:
        self._times: deque[int] = deque(maxlen=120)
        self._values: deque[float] = deque(maxlen=120)
        self._steps: deque[float] = deque(maxlen=90)
        self._noise = 0.0
        self._noise_ns: int | None = None
        self._start: tuple[int, float, float] | None = None

    def forget(self) -> None:
        """The eyes were not seen: what was before says nothing of what comes."""
        self._times.clear()
        self._values.clear()
        self._start = None

    def update(self, openness: float, at_ns: int) -> Blink | None:
        """The blink that ends with this frame, if one does."""
        blink = None
        while self._times and not 0 <= at_ns - self._times[0] <= LEVEL_NS:
            self._times.popleft()
            self._values.popleft()
        if self._start is not None:
            start_ns, level, dip = self._start
            if openness > level * (1 - dip / 2):
                blink, self._start = Blink(start_ns, at_ns), None
            elif not 0 <= at_ns - start_ns <= MAX_BLINK_NS:
                self._start = None
        elif len(self._values) >= MIN_LEVEL and openness < max(self._values) * (1 - LEAST_DIP):
            self._begin(openness, at_ns)
        if self._values:
            self._learn(openness - self._values[-1], at_ns)
        self._times.append(at_ns)
        self._values.append(openness)
        long_enough = blink is not None and MIN_BLINK_NS <= at_ns - blink.start_ns <= MAX_BLINK_NS
        return blink if long_enough else None

    def _begin(self, openness: float, at_ns: int) -> None:
        level = sorted(self._values)[len(self._values) // 2]
        dip = max(LEAST_DIP, DIP_IN_NOISE * self._noise)
        before = [v for seen_ns, v in zip(self._times, self._values, strict=True) if seen_ns >= at_ns - ONSET_NS]
        fell = bool(before) and max(before) > level * (1 - dip / 2)
        if len(self._steps) >= MIN_STEPS and openness < level * (1 - dip) and fell:
            self._start = (at_ns, level, dip)

    def _learn(self, step: float, at_ns: int) -> None:
        """The noise is what the openness changes from frame to frame; its median leaves blinks out."""
        self._steps.append(abs(step))
        if self._noise_ns is None or not 0 <= at_ns - self._noise_ns < SAMPLE_NS:
            self._noise_ns = at_ns
            self._noise = sorted(self._steps)[len(self._steps) // 2] / STEP_OF_NOISE


class _Usual:
    """The running median of one value of one person; shut eyes do not count, or a sleeper's would become usual."""

    def __init__(self, general: float | None) -> None:
        """`general` is the value of people in general; None takes the first value that comes."""
        self._general = general
        self._taken: deque[tuple[int, float]] = deque()
        self._sorted: list[float] = []
        self._value = general

    def ratio(self, value: float, at_ns: int) -> float:
        """`value` divided by what is usual, after `value` itself was taken into account."""
        if self._value is None:
            self._value = self._general = max(value, 1e-3)
        learning = len(self._sorted) < SETTLED
        due = not self._taken or not 0 <= at_ns - self._taken[-1][0] < SAMPLE_NS
        if due and (learning or value > SHUT * self._value):
            self._take(value, at_ns)
        return value / self._value

    def _take(self, value: float, at_ns: int) -> None:
        while self._taken and not 0 <= at_ns - self._taken[0][0] <= PERSON_S * 1e9:
            self._sorted.pop(bisect.bisect_left(self._sorted, self._taken.popleft()[1]))
        self._taken.append((at_ns, value))
        bisect.insort(self._sorted, value)
        median = self._sorted[len(self._sorted) // 2]
        weight = min(1.0, len(self._sorted) / SETTLED)
        assert self._general is not None
        self._value = max(1e-3, weight * median + (1 - weight) * self._general)


def _middle(x: list[float], y: list[float], part: slice) -> tuple[float, float]:
    count = part.stop - part.start
    return sum(x[part]) / count, sum(y[part]) / count


def _distance(x: list[float], y: list[float], a: int, b: int) -> float:
    return math.hypot(x[a] - x[b], y[a] - y[b])


def _along(point: tuple[float, float], other: tuple[float, float], up: tuple[float, float]) -> float:
    """How far `point` is above `other`."""
    return (point[0] - other[0]) * up[0] + (point[1] - other[1]) * up[1]
