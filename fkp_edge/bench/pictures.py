"""Frames to measure with: held in memory, so that drawing, decoding or waiting for them costs nothing."""

from __future__ import annotations

from fkp_edge.core.closing import Closing
from fkp_edge.core.observation import Frame
from fkp_edge.device.sources import open_source
from fkp_edge.device.sources.pace import Pace
from fkp_edge.errors import InputError, SourceError

__all__ = ["PacedFrames", "frame_at", "is_camera", "record_frames"]

MAX_FRAMES = 400
MAX_OF_A_CAMERA = 60
MAX_BYTES = 128 * 2**20


def is_camera(source: str) -> bool:
    """Whether `source` names a device whose frames come at its own rate."""
    return source == "picamera" or source.startswith("v4l2:")


def record_frames(source: str) -> list[Frame]:
    """The first frames of what `source` names: 400 (of a camera 60), or 128 MiB of them.

    Raises:
        FkpEdgeError: it cannot be opened or read, has none, or is a pipe, which nobody can open twice.
    """
    if source.split(":")[0] in ("gray", "yuv420"):
        raise InputError(f"bench reads its source more than once; expected a camera, file or demo, got {source}")
    opened = open_source(source, pace=False)
    frames: list[Frame] = []
    most, size = MAX_OF_A_CAMERA if is_camera(source) else MAX_FRAMES, 0
    try:
        while len(frames) < most and size < MAX_BYTES and (frame := opened.read()) is not None:
            frames.append(frame)
            size += frame.grey.nbytes
    finally:
        opened.close()
    if not frames:
        raise SourceError(f"source {source} ended before its first frame; expected at least one")
    return frames


def frame_at(frames: list[Frame], index: int, captured_ns: int) -> Frame:
    """Frame `index` of playing `frames` to their end and back again, over and over: nothing jumps."""
    turn = max(1, 2 * len(frames) - 2)
    place = index % turn
    return Frame(frames[place if place < len(frames) else turn - place].grey, captured_ns, index)


class PacedFrames(Closing):
    """A camera that gives `frames` at `rate` a second, each at its time."""

    name = "bench"
    live = True

    def __init__(self, frames: list[Frame], rate: float) -> None:
        self._frames = frames
        self._pace = Pace(rate)
        self._next = 0
        self._closed = False

    def read(self) -> Frame | None:
        """The next frame; its time is when it was due, so that what comes late is seen."""
        due_ns = self._pace.due_ns(self._next, wait=True)
        if self._closed:
            return None
        frame = frame_at(self._frames, self._next, due_ns)
        self._next += 1
        return frame

    def close(self) -> None:
        """Ends the frames."""
        self._closed = True
