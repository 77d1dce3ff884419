"""Which frames of a camera are fit to be processed, and when they were taken in an order that never goes back."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fkp_edge.core.observation import Frame

__all__ = ["LARGEST", "SMALLEST", "FrameFilter"]

SMALLEST, LARGEST = 32, 16384
"""Pixels of a side."""
OLDEST_NS = 5_000_000_000
"""A camera's time that is longer ago, or yet to come, is no time: its clock jumped."""


class FrameFilter:
    """Checks frames as they come. Cameras' sequences and times become strictly increasing, whatever theirs do."""

    def __init__(self, *, live: bool) -> None:
        self._live = live
        self._sequence = -1
        """Last one given out."""
        self._captured_ns = 0
        self._source_sequence = -1
        """Last one of the source."""
        self.refused = 0
        """Frames that were no pictures, or older than one before."""

    def restart(self) -> None:
        """Another source counts from 0 again."""
        self._source_sequence = -1

    def admit(self, frame: Frame, now_ns: int) -> Frame | None:
        """`frame` with its place in the order of all; None where it is not fit.

        Args:
            frame: as the source gave it.
            now_ns: monotonic clock.
        """
        if not _is_picture(frame) or (self._live and frame.sequence <= self._source_sequence):
            self.refused += 1
            return None
        if not self._live:  # a recording's frames carry their place in it
            return frame
        self._sequence += frame.sequence - self._source_sequence
        self._source_sequence = frame.sequence
        plausible = now_ns - OLDEST_NS <= frame.captured_ns <= now_ns
        self._captured_ns = max(frame.captured_ns if plausible else now_ns, self._captured_ns + 1)
        return replace(frame, sequence=self._sequence, captured_ns=self._captured_ns)


def _is_picture(frame: object) -> bool:
    grey = getattr(frame, "grey", None)
    if not isinstance(frame, Frame) or not isinstance(grey, np.ndarray):
        return False
    return grey.dtype == np.uint8 and grey.ndim == 2 and min(grey.shape) >= SMALLEST and max(grey.shape) <= LARGEST
