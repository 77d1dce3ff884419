"""A photograph that somebody drops on the page -> its faces. What it claims is checked before it is unpacked."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.observation import Face
from fkp_edge.errors import InputError
from fkp_edge.stream.protocol.messages import FaceMessage, from_face

__all__ = ["Find", "find_faces", "picture_size"]

Find = Callable[[NDArray[np.uint8]], Sequence[Face]]
"""Faces in a grey picture (H, W)."""

MOST_PIXELS = 25_000_000
_STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def find_faces(coded: bytes, find: Find) -> list[FaceMessage]:
    """The faces that `find` sees in a JPEG or PNG.

    Raises:
        InputError: it is neither, is damaged, or has too many pixels.
    """
    width, height = picture_size(coded)
    if width * height > MOST_PIXELS:
        raise InputError(f"the picture has {width}x{height} pixels; expected at most {MOST_PIXELS}: make it smaller")
    try:
        grey = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        grey = None
    if grey is None:
        raise InputError("the picture is damaged; expected a whole JPEG or PNG")
    return [from_face(face) for face in find(np.asarray(grey, np.uint8))]


def picture_size(coded: bytes) -> tuple[int, int]:
    """Width and height that the head of a JPEG or PNG claims.

    Raises:
        InputError: it is neither, or cut.
    """
    if coded[:8] == b"\x89PNG\r\n\x1a\n" and len(coded) >= 24:
        width, height = struct.unpack_from(">II", coded, 16)
        return width, height
    if coded[:2] == b"\xff\xd8":
        return _jpeg_size(coded)
    raise InputError(f"the picture starts {coded[:8]!r}; expected a JPEG or PNG")


def _jpeg_size(coded: bytes) -> tuple[int, int]:
    at = 2
    while at + 9 <= len(coded) and coded[at] == 0xFF:
        marker = coded[at + 1]
        if marker in _STARTS_OF_FRAME:
            height, width = struct.unpack_from(">HH", coded, at + 5)
            return width, height
        at += 1 if marker == 0xFF else 2 + int.from_bytes(coded[at + 2 : at + 4])
    raise InputError("the picture is a JPEG without a size; expected a whole one")
