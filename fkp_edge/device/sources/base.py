"""What every source of frames does."""

from __future__ import annotations

from typing import Protocol

from fkp_edge.observation import Frame

__all__ = ["Source"]


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
