"""What every source of frames does, and the fake one that tests and examples use."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol, Self

from fkp_edge.observation import Frame

__all__ = ["FakeCamera", "Source"]


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


class FakeCamera:
    """Plays given frames or raises given errors, and records what was asked of it."""

    def __init__(self, frames: Iterable[Frame | Exception], *, live: bool = False, name: str = "fake") -> None:
        self.name = name
        self.live = live
        self.reads = 0
        self.closed = False
        self._frames: Iterator[Frame | Exception] = iter(frames)

    def read(self) -> Frame | None:
        """The next given frame; raises it where it is an error; None after the last."""
        self.reads += 1
        item = None if self.closed else next(self._frames, None)
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        """Ends the frames."""
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"FakeCamera({self.name!r}, {'closed' if self.closed else 'open'}, reads={self.reads})"
