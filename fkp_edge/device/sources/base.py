"""What every source of frames does."""

from __future__ import annotations

from typing import Annotated, Protocol

from msgspec import Meta

from fkp_edge.core.observation import Frame
from fkp_edge.core.settings import Settings

__all__ = ["CameraSettings", "Source"]

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
