"""A search in a thread of its own, beside the frame path."""

from __future__ import annotations

import atexit
import itertools
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import CROP_SIZE, Box, Crop, crop_from_box, extract
from fkp_edge.core.observation import Frame
from fkp_edge.device.detection.base import Detect, Proposal
from fkp_edge.device.timing import StageTimes
from fkp_edge.errors import FkpEdgeError

__all__ = ["Pace", "ThreadedSearch", "moved_on"]

REACH = 4
"""Sides of the square, in sides of the proposal, in which its picture is looked for."""
ALIKE = 0.6
"""Correlation from which the picture there is taken for the one before."""
BETTER = 0.1
"""Correlation by which it must be more alike than what is now at the old place."""
FLAT = 4.0
"""Standard deviation, grey levels, below which a picture has nothing to be known by."""


def moved_on(
    proposals: Sequence[Box | Crop], before: NDArray[np.uint8], now: NDArray[np.uint8], *, most: int
) -> list[Box | Crop]:
    """`proposals` found in the frame `before` (H, W) where their pictures are `now`; the first `most` of them only.

    What is not seen again near its old place, or still is there, stays as it was proposed.
    """
    if before.shape != now.shape:
        return list(proposals)
    return [_moved(proposal, before, now) if i < most else proposal for i, proposal in enumerate(proposals)]


def _moved(proposal: Box | Crop, before: NDArray[np.uint8], now: NDArray[np.uint8]) -> Box | Crop:
    crop = proposal if isinstance(proposal, Crop) else crop_from_box(proposal)
    upright = replace(crop, roll=0.0)
    around = replace(upright, side=crop.side * REACH)
    size = CROP_SIZE // REACH
    picture = cv2.resize(extract(before, upright), (size, size), interpolation=cv2.INTER_AREA)
    if float(picture.std()) < FLAT:
        return proposal
    alike = np.nan_to_num(cv2.matchTemplate(extract(now, around), picture, cv2.TM_CCOEFF_NORMED), posinf=0, neginf=0)
    stays = (CROP_SIZE - size) // 2
    row, column = np.unravel_index(int(alike.argmax()), alike.shape)
    best, still = float(alike[row, column]), float(alike[stays, stays])
    if best < ALIKE or best < still + BETTER:
        return proposal
    dx, dy = ((int(at) - stays) * around.side / CROP_SIZE for at in (column, row))
    if isinstance(proposal, Crop):
        return replace(proposal, x=proposal.x + dx, y=proposal.y + dy)
    x, y, w, h = proposal
    return (x + dx, y + dy, w, h)


_log = logging.getLogger(__name__)

FRESH_S = 0.5
"""An answer may always be this old."""
TIMES = 2.0
"""It may be older where searches take longer: this many times what its own search took."""
SLOW_S = 1.0
"""A search that takes longer keeps a person waiting who has just come."""
SLOW_SEARCHES = 3
"""So many slow ones in a row, and it is said."""
LOOKS = 3
"""Newest looks from which the time between two of them is taken."""


class Pace:
    """The timing of searches beside the frames, by clocks that it is given. Not for two threads at once.

    An old answer is no wrong one: what it proposes is where the network looks first in the frame at hand, and it looks
    again from there. But an answer that nobody asked for while a face was followed is forgotten.
    """

    def __init__(self, *, cpu_share: float = 1.0, remedy: str = "") -> None:
        """Makes the timing of searches that have not begun.

        Args:
            cpu_share: of one core, on average: after each search it rests accordingly.
            remedy: what makes searches cheaper here, for the warning of one that cannot keep up.
        """
        self._cpu_share = cpu_share
        self._remedy = remedy
        self._rested_s = 0.0
        """Clock from which the next search may begin."""
        self._looks: deque[float] = deque(maxlen=LOOKS)
        """When the newest frames were taken for which somebody asked, seconds."""
        self._slow = 0
        """Slow searches in a row."""
        self._said = False

    def looked(self, taken_s: float) -> None:
        """Notes that somebody asks for faces in the frame taken at `taken_s`."""
        self._looks.append(taken_s)

    def may_begin(self, now_s: float) -> bool:
        """Whether the rest after the search before is over."""
        return now_s >= self._rested_s

    def ended(self, now_s: float, took_s: float, used_s: float) -> None:
        """Notes the end of a search that lasted `took_s` and used `used_s` of a core; says where it cannot keep up."""
        self._rested_s = now_s + used_s * (1 / self._cpu_share - 1)
        self._slow = self._slow + 1 if took_s > SLOW_S else 0
        if self._slow >= SLOW_SEARCHES and not self._said:
            self._said = True
            _log.warning("a search for faces takes %.1f s here: a face is found that late; %s", took_s, self._remedy)

    def counts(self, age_s: float, took_s: float) -> bool:
        """Whether an answer of a search that lasted `took_s`, from a frame `age_s` older than that at hand, counts."""
        return age_s <= max(FRESH_S, TIMES * took_s) + self._between_looks_s()

    def _between_looks_s(self) -> float:
        """The shortest time between two of the newest looks: a pause, in which nobody asked, is none."""
        looks = tuple(self._looks)
        return max(0.0, min((b - a for a, b in itertools.pairwise(looks)), default=0.0))


CLOSE_S = 0.25
"""How long a search under way is waited for at the end; settings may make it take many seconds."""
EXIT_S = 60.0
"""How long the process's end waits for it."""
MOVES_NS = 150_000_000
"""Time in which a face moves so far that the place where it was is no start any more."""
MAX_MOVED = 20
"""Proposals whose pictures are looked for in a newer frame; the others stay where they were."""


class ThreadedSearch:
    """Searches in a thread of its own: `look` returns at once, with boxes from frames that it was given before."""

    quick = False
    beside = True

    def __init__(
        self,
        detect: Detect,
        times: StageTimes | None = None,
        *,
        cpu_share: float = 1.0,
        remedy: str = "take a faster board",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Starts the thread.

        Args:
            detect: what searches; called in the thread.
            times: where its durations go.
            cpu_share: of one core, on average: after each search it rests accordingly.
            remedy: what makes searches cheaper, for the warning of one that cannot keep up.
            clock: seconds.
        """
        self._detect = detect
        self._times = times or StageTimes()
        self._pace = Pace(cpu_share=cpu_share, remedy=remedy)
        self._clock = clock
        self.count = 0
        self._wake = threading.Condition()
        self._frame: Frame | None = None
        self._newest: Frame | None = None
        self._busy = False
        self._found: _Answer | None = None
        self._error: Exception | None = None
        self._stop = False
        self._thread = threading.Thread(target=self._work, name="search", daemon=True)
        self._thread.start()

    def look(self, frame: Frame, *, following: bool = False) -> Sequence[Proposal] | None:  # noqa: ARG002 - the interface's
        """Boxes of the last search once it is done, else None; begins the next one."""
        with self._wake:
            if self._error is not None:
                raise self._error
            self._pace.looked(frame.captured_ns / 1e9)
            found, self._found = self._found, None
            self._newest = frame
            if not self._busy and found is None and self._pace.may_begin(self._clock()):
                self._frame, self._busy = frame, True
                self.count += 1
                self._wake.notify()
            if found is None or not self._pace.counts((frame.captured_ns - found.captured_ns) / 1e9, found.took_s):
                return None
        return found.proposals

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stop or self._frame is not None)
                if self._stop or self._frame is None:
                    return
                frame, self._frame = self._frame, None
            start, used = self._clock(), time.thread_time()
            try:
                proposals = self._detect(frame.grey)
            except Exception as error:  # handed to the frame path, which raises it
                failure = FkpEdgeError(f"the face search failed: {error}; please report this")
                failure.__cause__ = error
                with self._wake:
                    self._error, self._busy = failure, False
                return
            proposals, captured_ns = self._in_newest(proposals, frame)
            now = self._clock()
            self._times.add("search", round((now - start) * 1e9))
            # OpenCV's own threads work as long as this one does, and their time is not counted in it
            used = (time.thread_time() - used) * max(1, cv2.getNumThreads())
            with self._wake:
                self._pace.ended(now, now - start, used)
                self._found, self._busy = _Answer(proposals, captured_ns, now - start), False

    def _in_newest(self, proposals: Sequence[Proposal], frame: Frame) -> tuple[Sequence[Proposal], int]:
        """`proposals` found in `frame` as they are in the newest frame, and when that was taken."""
        newest = self._newest
        if not proposals or newest is None or newest.captured_ns - frame.captured_ns < MOVES_NS:
            return proposals, frame.captured_ns
        return moved_on(proposals, frame.grey, newest.grey, most=MAX_MOVED), newest.captured_ns

    def close(self) -> None:
        """Ends the thread; a search that goes on for longer is left to the end of the process."""
        with self._wake:
            self._stop = True
            self._wake.notify()
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            _log.warning("a search still goes on after %g s; it is left to the end of the process", CLOSE_S)
            # a thread that comes back from OpenCV after Python's end would make the process abort
            atexit.register(self._thread.join, EXIT_S)


class _Answer(NamedTuple):
    """Of a search that is done."""

    proposals: Sequence[Proposal]
    captured_ns: int
    """Of the frame in which they are there."""
    took_s: float
