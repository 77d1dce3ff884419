"""The process that `Decoder` starts: pictures in, pixels out, under limits."""

from __future__ import annotations

import os
import struct
import sys

import cv2
import numpy as np

from fkp_edge.core.confined import confine, limit_next

__all__ = ["ANSWER", "QUESTION", "main"]

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
