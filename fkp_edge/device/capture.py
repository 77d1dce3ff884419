"""A source read in a thread of its own, which hands over the newest frame, and the filter of unfit frames."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from fkp_edge.core.observation import Frame
from fkp_edge.device.sources import Source

__all__ = ["LARGEST", "SMALLEST", "Capture", "FrameFilter"]

_log = logging.getLogger(__name__)


class Capture:
    """Opens and reads a source until it ends, fails or is no longer wanted; what is not taken in time is replaced.

    A driver may block in `read` for ever. Then the thread is left behind: closing a source under its read crashes
    OpenCV, so only the thread itself closes it, when it comes back.
    """

    def __init__(self, opens: Callable[[], Source], *, wait: bool) -> None:
        """Begins at once. With `wait` each frame waits to be taken, as a recording's do."""
        self._opens = opens
        self._wait = wait
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self.ended = False
        """No more frames will come, or be wanted."""
        self.error: Exception | None = None
        """Why it ended; None at the source's own end."""
        self.opened_s: float | None = None
        """Monotonic clock when the source was open."""
        self._thread = threading.Thread(target=self._run, name="capture", daemon=True)
        self._thread.start()

    def take(self, timeout_s: float) -> Frame | None:
        """The newest frame; None at the end, or where none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self.ended, timeout_s)
            frame, self._frame = self._frame, None
            self._changed.notify_all()
            return frame

    def abandon(self) -> None:
        """Wants no more frames; does not wait for the thread."""
        self._end(None)

    def join(self, timeout_s: float) -> bool:
        """Whether the thread ends in time; the source is closed then."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        source = None
        try:
            source = self._opens()
            self.opened_s = time.monotonic()
            while not self.ended and (frame := source.read()) is not None:
                self._put(frame)
            self._end(None)
        except Exception as error:  # for the runtime to judge
            self._end(error)
        finally:
            if source is not None:
                try:
                    source.close()
                except Exception as error:  # a camera that is gone may fail to close, too
                    _log.warning("%s does not close: %s", source.name, error)

    def _put(self, frame: Frame) -> None:
        with self._changed:
            if self._wait:
                self._changed.wait_for(lambda: self._frame is None or self.ended)
            self._frame = frame
            self._changed.notify_all()

    def _end(self, error: Exception | None) -> None:
        with self._changed:
            if not self.ended:
                self.error = error
            self.ended = True
            self._changed.notify_all()


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
