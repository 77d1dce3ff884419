"""Recordings and URLs as sources: video files, folders of pictures, network cameras."""

from __future__ import annotations

import contextlib
import re
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.observation import Frame
from fkp_edge.data import find_pictures
from fkp_edge.data.decoder import Decoder
from fkp_edge.data.pictures import decode_picture, kind_of
from fkp_edge.device.sources.base import Pace
from fkp_edge.errors import SourceError

__all__ = ["SCHEMES", "FolderSource", "UrlSource", "VideoSource", "without_password"]

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
        self._ending = contextlib.ExitStack()
        self._decoder = self._ending.enter_context(Decoder())
        self._decoder.start()  # it imports OpenCV while the rest of the program begins
        super().__init__(path.name, rate, pace=pace)

    def read(self) -> Frame | None:
        """The next picture; None after the last.

        Raises:
            InputError: a file is no picture.
        """
        if self._count >= len(self._paths):
            self.close()
            return None
        return self._frame(decode_picture(self._paths[self._count], self._decoder, reduces=False).pixels)

    def close(self) -> None:
        """Ends the pictures, and the process that decodes them."""
        self._paths = []
        self._ending.close()


SCHEMES = ("rtsp", "rtsps", "http", "https", "rtmp", "udp", "tcp", "srt")
TIMEOUT_MS = 5000
PLAIN_HOST = re.compile(r"(\[[^]@]*\]|[^]@:/?#[]*)(:\d*)?([/?#]|$)")
"""A host and perhaps a port, then the path: no user and password before it."""
LIVE = ("rtsp", "rtsps", "rtmp", "udp", "tcp", "srt")


def without_password(text: str) -> str:
    """`text`, a URL or not, as it may be shown: without what stands before `@` and in the query.

    A password may hold `/`, `?`, `#` and `@`: rather too much is left out than a part of it shown.
    """
    scheme, is_url, rest = text.partition("://")
    if not is_url:
        return text
    if not PLAIN_HOST.match(rest):
        rest = rest.rpartition("@")[2]
    return f"{scheme}://{re.split('[?#]', rest)[0]}"


class UrlSource:
    """A video from the network. Cameras are live; a file on a server loses no frame and plays at its own speed."""

    def __init__(self, url: str, *, pace: bool = True) -> None:
        """Connects, at most 5 s.

        Args:
            url: what FFmpeg reads; user and password are kept out of messages.
            pace: a file plays at its own speed; without, as fast as it comes.

        Raises:
            SourceError: nothing answers there, or it is no video.
        """
        self.name = without_password(url)
        timeouts = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, TIMEOUT_MS]
        self._capture = cv2.VideoCapture(url, cv2.CAP_FFMPEG, timeouts)
        if not self._capture.isOpened():
            raise SourceError(
                f"{self.name} gives no video; expected a camera or file that answers within {TIMEOUT_MS / 1000:g} s; "
                "try it in VLC, check host, path, user and password"
            )
        self._announced = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.live = url.split(":")[0].lower() in LIVE or self._announced <= 0
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self._rate = rate if 1 <= rate <= 1000 else 30.0
        self._pace = pace and not self.live
        self._start_ns = 0
        self._count = 0
        self._closed = False

    def read(self) -> Frame | None:
        """The next frame as grey; None at the end of a file, or once closed.

        Raises:
            SourceError: a camera gives no more pictures, or a file ends long before its header says.
        """
        if self._closed:
            return None
        good, picture = self._capture.read()
        if not good:
            if self.live:
                raise SourceError(f"{self.name} gave no picture after {self._count}; is the camera on and in reach?")
            if self._count < TRUNCATED * self._announced:
                raise SourceError(
                    f"{self.name} ends after {self._count} of {self._announced:.0f} frames: the connection broke, or "
                    "the file is damaged; start again, or download it first"
                )
            return None
        captured_ns = time.monotonic_ns() if self.live else self._due_ns()
        self._count += 1
        return Frame(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), captured_ns, self._count - 1)  # type: ignore[arg-type]

    def _due_ns(self) -> int:
        self._start_ns = self._start_ns or time.monotonic_ns()
        due_ns = self._start_ns + round(self._count / self._rate * 1e9)
        if self._pace and (wait := due_ns - time.monotonic_ns()) > 0:
            time.sleep(wait / 1e9)
        return due_ns

    def close(self) -> None:
        """Ends the connection."""
        if not self._closed:
            self._closed = True
            self._capture.release()
