"""Whole-frame search for faces: at once, or in a thread beside the frame path."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fkp_edge.device.timing import StageTimes
from fkp_edge.errors import FkpEdgeError
from fkp_edge.geometry import Box
from fkp_edge.observation import Frame

__all__ = ["Detect", "FakeSearch", "InlineSearch", "Search", "ThreadedSearch"]

Detect = Callable[[NDArray[np.uint8]], Sequence[Box]]
"""Boxes of possible faces in a grey picture (H, W)."""


class Search(Protocol):
    """Looks for faces in whole frames."""

    count: int
    """Searches begun."""

    def look(self, frame: Frame) -> Sequence[Box] | None:
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

    def look(self, frame: Frame) -> Sequence[Box] | None:
        """Boxes in `frame`."""
        self.count += 1
        with self._times.stage("search"):
            return self._detect(frame.grey)

    def close(self) -> None:
        """Nothing to end."""


class FakeSearch:
    """Answers each look with the next of the given answers, then with no boxes."""

    def __init__(self, answers: Sequence[Sequence[Box] | None] = ()) -> None:
        self.count = 0
        self._answers = list(answers)

    def look(self, frame: Frame) -> Sequence[Box] | None:  # noqa: ARG002 - the interface's
        """The next answer."""
        self.count += 1
        return self._answers.pop(0) if self._answers else []

    def close(self) -> None:
        """Nothing to end."""


class ThreadedSearch:
    """Searches in a thread of its own: `look` returns at once, with boxes from the frame it was given last."""

    def __init__(self, detect: Detect, times: StageTimes | None = None) -> None:
        self._detect = detect
        self._times = times or StageTimes()
        self.count = 0
        self._wake = threading.Condition()
        self._frame: Frame | None = None
        self._busy = False
        self._found: tuple[Sequence[Box], int] | None = None
        self._error: Exception | None = None
        self._stop = False
        self._thread = threading.Thread(target=self._work, name="search", daemon=True)
        self._thread.start()

    STALE_NS = 500_000_000
    """Boxes found in a frame that is this much older than the one at hand are not worth a look."""

    def look(self, frame: Frame) -> Sequence[Box] | None:
        """Boxes of the last search once it is done, else None; begins the next one."""
        with self._wake:
            if self._error is not None:
                raise self._error
            found, self._found = self._found, None
            if not self._busy and found is None:
                self._frame, self._busy = frame, True
                self.count += 1
                self._wake.notify()
        if found is None or frame.captured_ns - found[1] > self.STALE_NS:
            return None
        return found[0]

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._stop or self._frame is not None)
                if self._stop or self._frame is None:
                    return
                frame, self._frame = self._frame, None
            start = time.perf_counter_ns()
            try:
                boxes = self._detect(frame.grey)
            except Exception as error:  # handed to the frame path, which raises it
                failure = FkpEdgeError(f"the face search failed: {error}; please report this")
                failure.__cause__ = error
                with self._wake:
                    self._error, self._busy = failure, False
                return
            self._times.add("search", time.perf_counter_ns() - start)
            with self._wake:
                self._found, self._busy = (boxes, frame.captured_ns), False

    def close(self) -> None:
        """Ends the thread.

        Raises:
            RuntimeError: it does not end within 5 s.
        """
        with self._wake:
            self._stop = True
            self._wake.notify()
        self._thread.join(5.0)
        if self._thread.is_alive():
            raise RuntimeError("the search thread did not end within 5 s")
