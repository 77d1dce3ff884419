"""Videos behind a URL: network cameras (rtsp://, http:// with MJPEG) and files on a server, through OpenCV's FFmpeg."""

from __future__ import annotations

import re
import time

import cv2

from fkp_edge.core.observation import Frame
from fkp_edge.device.sources.files import TRUNCATED
from fkp_edge.errors import SourceError

__all__ = ["SCHEMES", "UrlSource", "without_password"]

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
