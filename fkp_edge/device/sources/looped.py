"""A recording or the demo from its beginning again, each time that it ends and somebody wants that."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fkp_edge.core.observation import Frame
from fkp_edge.device.sources.base import Source

__all__ = ["LoopedSource"]

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
