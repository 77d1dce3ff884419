"""Raw frames on a pipe: what rpicam-vid, FFmpeg, GStreamer or a program of your own writes."""

from __future__ import annotations

import os
import re
import stat
import sys
import time
from io import FileIO
from pathlib import Path

import numpy as np

from fkp_edge.core.observation import Frame
from fkp_edge.errors import InputError, SourceError

__all__ = ["PipeSource", "parse_pipe"]

EXPECTED = "expected gray:WIDTHxHEIGHT or yuv420:WIDTHxHEIGHT, with :PATH for a named pipe, such as gray:640x480"
LARGEST = 8192


def parse_pipe(text: str) -> tuple[str, tuple[int, int], Path | None]:
    """Format, (width, height) and path of `gray:640x480[:PATH]`; None is standard input.

    Raises:
        InputError: `text` is not of that form.
    """
    match = re.fullmatch(r"(gray|yuv420):(\d{1,5})x(\d{1,5})(?::(.+))?", text)
    if not match:
        raise InputError(f"source {text!r} has no size; {EXPECTED}")
    size = (int(match[2]), int(match[3]))
    if not all(32 <= side <= LARGEST for side in size) or (match[1] == "yuv420" and (size[0] % 2 or size[1] % 2)):
        raise InputError(f"source {text!r}: expected sides of 32 to {LARGEST} pixels, even ones for yuv420")
    return match[1], size, Path(match[4]) if match[4] else None


class PipeSource:
    """Frames without headers, one after the other, rows not padded: grey, or the grey plane of YUV 4:2:0."""

    def __init__(self, text: str, *, pipe: FileIO | None = None) -> None:
        """Opens what `text` names; a named pipe waits for its writer.

        Args:
            text: see `parse_pipe`.
            pipe: to read from instead, not buffered.

        Raises:
            InputError: `text` is not of that form, or standard input is a terminal or closed.
            SourceError: the pipe cannot be opened.
        """
        kind, (width, height), path = parse_pipe(text)
        self.name = text if path else f"{text} on standard input"
        self._shape = (height, width)
        self._grey_bytes = width * height
        self._frame_bytes = self._grey_bytes * 3 // 2 if kind == "yuv420" else self._grey_bytes
        if pipe is None and path is None and (sys.stdin is None or sys.stdin.isatty()):
            raise InputError(
                f"source {text!r} reads standard input, which is closed or a terminal; pipe frames into it"
            )
        try:
            # not sys.stdin.buffer: a thread that blocks in a buffered read makes Python abort at its exit
            self._pipe = pipe or FileIO(path or os.dup(sys.stdin.fileno()))
        except OSError as error:
            raise SourceError(f"cannot read {path}: {error.strerror or error}; make it with mkfifo") from error
        self.live = not stat.S_ISREG(os.fstat(self._pipe.fileno()).st_mode)
        self._count = 0
        self._closed = False

    def read(self) -> Frame | None:
        """The next frame; None where the writer has ended.

        Raises:
            SourceError: it ended in the middle of a frame.
        """
        if self._closed:
            return None
        data = np.empty(self._frame_bytes, np.uint8)
        length = self._fill(data.data)
        captured_ns = time.monotonic_ns()
        if not length:
            return None
        if length < self._frame_bytes:
            raise SourceError(
                f"{self.name} ended after {length} of the {self._frame_bytes} bytes of frame {self._count}; does "
                f"its writer give frames of {self._shape[1]}x{self._shape[0]}, rows not padded?"
            )
        self._count += 1
        return Frame(data[: self._grey_bytes].reshape(self._shape), captured_ns, self._count - 1)

    def _fill(self, view: memoryview) -> int:
        """Bytes read into `view`: fewer than it has at the end only."""
        length = 0
        while length < len(view) and (more := self._pipe.readinto(view[length:])):
            length += more
        return length

    def close(self) -> None:
        """Closes the pipe."""
        if not self._closed:
            self._closed = True
            self._pipe.close()
