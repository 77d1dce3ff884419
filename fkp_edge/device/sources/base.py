"""What every source of frames does, when frames are due, and a source played again and again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Protocol

from msgspec import Meta

from fkp_edge.core.observation import Frame
from fkp_edge.core.settings import Settings

__all__ = ["CameraSettings", "LoopedSource", "Pace", "Source"]

Pixels = Annotated[int, Meta(ge=32, le=8192)]


class CameraSettings(Settings, frozen=True, kw_only=True):
    """What a camera is asked for; it may give something near."""

    size: tuple[Pixels, Pixels] = (640, 480)
    """Width and height."""
    rate: Annotated[float, Meta(ge=1, le=240)] = 30.0
    """Frames a second."""


class Source(Protocol):
    """Gives frames until it ends or is closed. `read` and `close` may be called from different threads."""

    name: str
    """What messages and summaries call it."""
    live: bool
    """True for a camera: frames that nobody took in time are lost. False for a recording: each frame waits."""

    def read(self) -> Frame | None:
        """The next frame, waiting for it; None at the end.

        Raises:
            SourceError: the camera stalled or failed, or the recording is damaged.
        """
        ...

    def close(self) -> None:
        """Frees the device or file; twice is fine."""
        ...


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


STEP_NS = 33_000_000
"""From the last frame of a round to the first of the next."""


class LoopedSource:
    """Rounds of a source that ends. Sequences and times go on from round to round, so that neither goes back."""

    def __init__(self, opens: Callable[[], Source], again: Callable[[], bool]) -> None:
        """Opens the first round.

        Args:
            opens: a round's source.
            again: whether another round is wanted; asked at the end of each.

        Raises:
            FkpEdgeError: as `opens`.
        """
        self._opens = opens
        self._again = again
        self._source = opens()
        self.name = self._source.name
        self.live = self._source.live
        self._count = 0
        self._shift_ns: int | None = 0
        """Added to the times of this round; None until its first frame."""
        self._captured_ns = 0
        self._ended = False

    def read(self) -> Frame | None:
        """The next frame; None once no other round is wanted, or one had no frame.

        Raises:
            FkpEdgeError: as the source's own `read`, or as opening it again.
        """
        frame = None if self._ended else self._source.read()
        if frame is None and not self._ended:
            self._ended = not (self._count and self._again())
            frame = None if self._ended else self._begin_again()
        if frame is None:
            return None
        if self._shift_ns is None:
            self._shift_ns = max(0, self._captured_ns + STEP_NS - frame.captured_ns)
        self._captured_ns = frame.captured_ns + self._shift_ns
        self._count += 1
        return replace(frame, sequence=self._count - 1, captured_ns=self._captured_ns)

    def _begin_again(self) -> Frame | None:
        self._source.close()
        self._source = self._opens()
        self._shift_ns = None
        return self._source.read()

    def close(self) -> None:
        """Ends the rounds."""
        self._ended = True
        self._source.close()
