"""A search in a thread of its own, beside the frame path."""

from __future__ import annotations

import atexit
import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2

from fkp_edge.core.observation import Frame
from fkp_edge.device.detection.base import Detect, Proposal
from fkp_edge.device.detection.motion import moved_on
from fkp_edge.device.detection.pace import Pace
from fkp_edge.device.timing import StageTimes
from fkp_edge.errors import FkpEdgeError

__all__ = ["ThreadedSearch"]

_log = logging.getLogger(__name__)

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
