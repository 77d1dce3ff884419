"""Recordings as sources: video files and folders of pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.observation import Frame
from fkp_edge.data import find_pictures, read_picture
from fkp_edge.data.file_kinds import kind_of
from fkp_edge.device.sources.pace import Pace
from fkp_edge.errors import SourceError

__all__ = ["FolderSource", "VideoSource"]

TRUNCATED = 0.9
"""A video that ends before this share of the frames its header announces is damaged; headers are not exact."""


class _Recording:
    """Hands out frames at the recording's rate, or as fast as they are read; none is skipped."""

    live = False

    def __init__(self, name: str, rate: float, *, pace: bool) -> None:
        self.name = name
        self._pace = Pace(rate)
        self._wait = pace
        self._count = 0

    def _frame(self, grey: np.ndarray[tuple[int, int], np.dtype[np.uint8]]) -> Frame:
        due_ns = self._pace.due_ns(self._count, wait=self._wait)
        self._count += 1
        return Frame(grey, due_ns, self._count - 1)


class VideoSource(_Recording):
    """A video file that OpenCV can read."""

    def __init__(self, path: Path, *, pace: bool = True) -> None:
        """Opens `path`; with `pace` frames come at the file's own rate.

        Raises:
            SourceError: the file is missing or no video.
        """
        if not path.is_file():
            raise SourceError(f"{path} does not exist; expected a video file, a folder of pictures or a camera")
        if (kind := kind_of(path)) in ("a text file", "a model file"):  # FFmpeg shows text as pictures of letters
            raise SourceError(f"{path} is {kind}, no video; expected a complete MP4, AVI, MKV or the like")
        self._capture = cv2.VideoCapture(str(path.absolute()))  # FFmpeg takes the start of `a:b.mp4` for a protocol
        if not self._capture.isOpened():
            raise SourceError(f"{path} cannot be read as a video; expected a complete MP4, AVI, MKV or the like")
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 1 <= rate <= 1000 else 30.0
        """Frames a second."""
        super().__init__(path.name, self.rate, pace=pace)
        self._announced = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self._path = path
        self._closed = False

    def read(self) -> Frame | None:
        """The next frame as grey; None at the end.

        Raises:
            SourceError: the file ends long before its header says.
        """
        both = self.read_both()
        return None if both is None else both[0]

    def read_both(self) -> tuple[Frame, NDArray[np.uint8]] | None:
        """The next frame, and it in colour (H, W, 3) BGR; see `read`."""
        if self._closed:
            return None
        good, picture = self._capture.read()
        if good:
            frame = self._frame(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))  # type: ignore[arg-type]
            return frame, np.asarray(picture, np.uint8)
        if self._count < TRUNCATED * self._announced:
            raise SourceError(
                f"{self._path} ends after {self._count} of {self._announced:.0f} frames: it is truncated or damaged; "
                "copy or record it again"
            )
        return None

    def close(self) -> None:
        """Frees the file."""
        if not self._closed:
            self._closed = True
            self._capture.release()


class FolderSource(_Recording):
    """The pictures of a folder, by name, as frames of whatever size each has."""

    def __init__(self, path: Path, *, rate: float = 10.0, pace: bool = True) -> None:
        """Opens `path`; with `pace` pictures come at `rate` a second.

        Raises:
            InputError: the folder holds no picture.
        """
        self._paths = find_pictures(path)
        super().__init__(path.name, rate, pace=pace)

    def read(self) -> Frame | None:
        """The next picture; None after the last.

        Raises:
            InputError: a file is no picture.
        """
        return self._frame(read_picture(self._paths[self._count])) if self._count < len(self._paths) else None

    def close(self) -> None:
        """Ends the pictures."""
        self._paths = []
