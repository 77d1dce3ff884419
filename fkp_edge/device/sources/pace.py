"""When the frames of a source that is no camera are due."""

from __future__ import annotations

import time

__all__ = ["Pace"]


class Pace:
    """`rate` frames a second, counted from when the first was asked for."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._start_ns: int | None = None

    def due_ns(self, index: int, *, wait: bool) -> int:
        """When frame `index` is due, monotonic nanoseconds; returns not before then where `wait`.

        It is the frame's time also where it comes late, so that lateness is seen.
        """
        if self._start_ns is None:
            self._start_ns = time.monotonic_ns()
        due_ns = self._start_ns + round(index / self._rate * 1e9)
        if wait and (wait_ns := due_ns - time.monotonic_ns()) > 0:
            time.sleep(wait_ns / 1e9)
        return due_ns
