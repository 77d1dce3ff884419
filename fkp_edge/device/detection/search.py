"""Whole-frame search for faces: at once, or in a thread beside the frame path."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple, Protocol

import cv2
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from fkp_edge.core.geometry import Box, Crop
from fkp_edge.core.observation import Frame
from fkp_edge.device.detection.haar import HaarDetector, HaarSettings
from fkp_edge.device.detection.motion import moved_on
from fkp_edge.device.detection.pace import Pace
from fkp_edge.device.detection.rotated import TurningDetector
from fkp_edge.device.timing import StageTimes
from fkp_edge.errors import FkpEdgeError

__all__ = [
    "Detect",
    "FakeSearch",
    "InlineSearch",
    "Proposal",
    "Search",
    "SearchSettings",
    "ThreadedSearch",
    "cheaper",
    "open_search",
]

_log = logging.getLogger(__name__)

CLOSE_S = 0.25
"""How long a search under way is waited for at the end; settings may make it take many seconds."""

MOVES_NS = 150_000_000
"""Time in which a face moves so far that the place where it was is no start any more."""
MOST_MOVED = 20
"""Proposals whose pictures are looked for in a newer frame; the others stay where they were."""

Proposal = Box | Crop
"""Where a face may be: a box, or a crop that is turned as the face is."""
Detect = Callable[[NDArray[np.uint8]], Sequence[Proposal]]
"""Possible faces in a grey picture (H, W)."""


class SearchSettings(HaarSettings, frozen=True, kw_only=True):
    """How hard to look, how often, and for what."""

    min_neighbors: Annotated[int, Meta(ge=0, le=100)] = 1
    """Fewer than for Haar alone: the score tells faces from the rest, and more of them are proposed."""
    cpu_share: Annotated[float, Meta(ge=0.01, le=1)] = 0.5
    """Of one core, for searches in live video; recordings are searched whatever it costs."""
    tilted: bool = True
    """Where no upright face is found, look in turns for faces tilted by 30 degrees to either side, too."""


class Search(Protocol):
    """Looks for faces in whole frames."""

    count: int
    """Searches begun."""

    def look(self, frame: Frame) -> Sequence[Proposal] | None:
        """Boxes of possible faces in `frame` or one shortly before; None where no answer is ready yet."""
        ...

    def close(self) -> None:
        """Ends the search; twice is fine."""
        ...


class InlineSearch:
    """Searches the frame it is given, and keeps the caller waiting: for recordings, where each frame counts."""

    def __init__(self, detect: Detect, times: StageTimes | None = None) -> None:
        self._detect = detect
        self._times = times or StageTimes()
        self.count = 0

    def look(self, frame: Frame) -> Sequence[Proposal] | None:
        """Boxes in `frame`."""
        self.count += 1
        with self._times.stage("search"):
            return self._detect(frame.grey)

    def close(self) -> None:
        """Nothing to end."""


class FakeSearch:
    """Answers each look with the next of the given answers, then with no boxes."""

    def __init__(self, answers: Sequence[Sequence[Proposal] | None] = ()) -> None:
        self.count = 0
        self._answers = list(answers)

    def look(self, frame: Frame) -> Sequence[Proposal] | None:  # noqa: ARG002 - the interface's
        """The next answer."""
        self.count += 1
        return self._answers.pop(0) if self._answers else []

    def close(self) -> None:
        """Nothing to end."""


class ThreadedSearch:
    """Searches in a thread of its own: `look` returns at once, with boxes from frames that it was given before."""

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

    def look(self, frame: Frame) -> Sequence[Proposal] | None:
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
        return moved_on(proposals, frame.grey, newest.grey, most=MOST_MOVED), newest.captured_ns

    def close(self) -> None:
        """Ends the thread; a search that goes on for longer is left to the end of the process."""
        with self._wake:
            self._stop = True
            self._wake.notify()
        self._thread.join(CLOSE_S)
        if self._thread.is_alive():
            _log.warning("a search still goes on after %g s; it is left to the end of the process", CLOSE_S)


class _Answer(NamedTuple):
    """Of a search that is done."""

    proposals: Sequence[Proposal]
    captured_ns: int
    """Of the frame in which they are there."""
    took_s: float


def open_search(settings: SearchSettings, times: StageTimes, *, live: bool) -> ThreadedSearch | InlineSearch:
    """The search that `fkp-edge run` uses: beside live video, in turn with the frames of a recording."""
    upright = HaarDetector(settings)
    detect = TurningDetector(upright).detect if settings.tilted else upright.detect
    if live:
        return ThreadedSearch(detect, times, cpu_share=settings.cpu_share, remedy=cheaper(settings))
    return InlineSearch(detect, times)


def cheaper(settings: SearchSettings) -> str:
    """What in [search] makes a search cheaper than `settings` do."""
    ways = []
    if settings.longest_side > SMALL_SIDE:
        ways.append(f"longest_side = {SMALL_SIDE} (now {settings.longest_side})")
    if settings.tilted:
        ways.append("tilted = false")
    if settings.min_size < LARGE_FACE:
        ways.append(f"min_size = {LARGE_FACE} (now {settings.min_size})")
    return f"set {', '.join(ways)} in [search]" if ways else "take a faster board"


SMALL_SIDE = 320
LARGE_FACE = 80
