"""Decodes pictures of unknown origin in a child process, after a look at what they claim."""

from __future__ import annotations

import os
import struct
import sys
import time
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.picture_headers import Claim, read_header
from fkp_edge.core.subprocesses import Worker, WorkerError, confine, limit_next
from fkp_edge.errors import InputError

__all__ = ["ANSWER", "FILES", "QUESTION", "UPLOADS", "Decoded", "Decoder", "Limits", "check_claim", "main"]

WANTED_SIDE = 2560
"""A JPEG is reduced as long as its longer side keeps so many pixels: twice what the search looks at."""
SLACK = 64 * 2**20
"""What a decoder needs beside its pixels: its own state, OpenCV's rows."""


class Limits(NamedTuple):
    """What a picture may claim."""

    pixels: int
    """Of the picture, before it is reduced."""
    given: int
    """Pixels that are decoded, after it is reduced."""
    memory: int
    """Bytes that the decoder may hold beside the pixels."""
    work: int
    """Pixels that it may go over, all scans together."""
    cpu_s: float = 10.0
    timeout_s: float = 20.0
    kinds: tuple[str, ...] = ("JPEG", "PNG", "BMP", "WebP", "PNM", "TIFF")


UPLOADS = Limits(50_000_000, 25_000_000, 112 * 2**20, 400_000_000, kinds=("JPEG", "PNG"))
"""Of somebody who can reach the page; the service has 400 MB for all it does."""
FILES = Limits(200_000_000, 50_000_000, 512 * 2**20, 1_000_000_000)
"""Of files that a user names."""


class Decoded(NamedTuple):
    """A picture, maybe smaller than its file says."""

    pixels: NDArray[np.uint8]
    """(H, W), or (H, W, 3) BGR."""
    factor: int
    """1, 2, 4 or 8: by how much each side was divided."""


class Decoder:
    """Opens pictures in a child process with limits of memory and time. Not for use by two threads at once."""

    def __init__(self, limits: Limits = FILES) -> None:
        self._limits = limits
        self._worker = Worker("fkp_edge.data.decoder")

    def __repr__(self) -> str:
        return f"<Decoder {self._worker!r}>"

    def start(self) -> None:
        """Starts the child, so that the first picture need not wait for it."""
        self._worker.start()

    def decode(self, coded: bytes, *, color: bool = False, reduces: bool = True) -> Decoded:
        """The picture in `coded`; a large JPEG is reduced while it is decoded, where `reduces`.

        Raises:
            InputError: it is no picture, damaged, or claims or costs more than the limits.
        """
        claim = read_header(coded)
        factor = check_claim(claim, self._limits, reduces=reduces)
        most = (claim.width // factor + 8) * (claim.height // factor + 8) * (3 if color else 1)
        memory = claim.memory + 2 * most + SLACK
        question = QUESTION.pack(len(coded), memory, self._limits.cpu_s, color, factor)
        head = bytearray(ANSWER.size)
        try:
            self._worker.ask([question, coded], timeout_s=self._limits.timeout_s)
            deadline = time.monotonic() + self._limits.timeout_s
            self._worker.answer(memoryview(head), deadline)
            height, width, channels = ANSWER.unpack(head)
            if not height:
                raise InputError(f"it is damaged; expected a whole {claim.kind}")
            if height * width * channels > most or channels != (3 if color else 1):
                raise WorkerError("gave other pixels than the header promised")
            pixels = np.empty((height, width, channels) if color else (height, width), np.uint8)
            self._worker.answer(pixels.data.cast("B"), deadline)
        except WorkerError as error:
            self._worker.end()
            raise InputError(f"decoding it {error}; expected a whole {claim.kind} of ordinary make") from error
        except OSError as error:
            raise InputError(f"no process can be started to decode it ({error.strerror or error})") from error
        return Decoded(pixels, factor)

    def close(self) -> None:
        """Ends the child; from any thread, twice is fine."""
        self._worker.close()

    def __enter__(self) -> Decoder:
        return self

    def __exit__(self, *_: object) -> None:
        self._worker.__exit__()


def check_claim(claim: Claim, limits: Limits, *, reduces: bool) -> int:
    """By how much a picture that claims this may be reduced (1 where not `reduces`).

    Raises:
        InputError: it claims more than `limits`.
    """
    factor = 1
    while reduces and claim.kind == "JPEG" and factor < 8 and max(claim[1:3]) >= 2 * factor * WANTED_SIDE:
        factor *= 2
    size = f"{claim.width}x{claim.height} pixels"
    if claim.kind not in limits.kinds:
        raise InputError(f"it is a {claim.kind}; expected {' or '.join(limits.kinds)}")
    if claim.pixels > limits.pixels or claim.pixels // factor**2 > limits.given:
        most = limits.pixels if reduces and claim.kind == "JPEG" else limits.given
        raise InputError(f"it has {size}; expected at most {most}: make it smaller")
    if claim.memory > limits.memory:
        raise InputError(
            f"decoding its {size} takes {claim.memory >> 20} MB; expected at most {limits.memory >> 20} MB"
        )
    if claim.work > limits.work:
        raise InputError(f"its {size} come in {claim.work // claim.pixels} scans; expected a JPEG with fewer")
    return factor


QUESTION = struct.Struct("<QQdii")
"""Bytes that follow, bytes of memory, CPU seconds, whether in colour, by how much it is reduced."""
ANSWER = struct.Struct("<III")
"""Height, width, channels of the pixels that follow; all 0 where it is no picture."""
FLAGS = {
    (0, 1): cv2.IMREAD_GRAYSCALE,
    (0, 2): cv2.IMREAD_REDUCED_GRAYSCALE_2,
    (0, 4): cv2.IMREAD_REDUCED_GRAYSCALE_4,
    (0, 8): cv2.IMREAD_REDUCED_GRAYSCALE_8,
    (1, 1): cv2.IMREAD_COLOR,
    (1, 2): cv2.IMREAD_REDUCED_COLOR_2,
    (1, 4): cv2.IMREAD_REDUCED_COLOR_4,
    (1, 8): cv2.IMREAD_REDUCED_COLOR_8,
}


def main(parent: int) -> None:
    """Answers until stdin ends."""
    confine(parent)
    cv2.setNumThreads(1)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a decoder that prints must not write into the answers
    while len(head := sys.stdin.buffer.read(QUESTION.size)) == QUESTION.size:
        length, memory, cpu_s, color, factor = QUESTION.unpack(head)
        coded = sys.stdin.buffer.read(length)
        limit_next(memory, cpu_s)
        try:
            picture = cv2.imdecode(np.frombuffer(coded, np.uint8), FLAGS[color, factor])
        except (cv2.error, MemoryError):
            picture = None
        del coded
        if picture is None or picture.dtype != np.uint8:
            answers.write(ANSWER.pack(0, 0, 0))
        else:
            channels = picture.shape[2] if picture.ndim == 3 else 1
            answers.write(ANSWER.pack(*picture.shape[:2], channels))
            answers.write(np.ascontiguousarray(picture).data.cast("B"))
        answers.flush()
        del picture
