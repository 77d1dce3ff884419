"""A picture placed on a face by its eyes, such as glasses: what keypoints are often shown with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.files import read_bounded
from fkp_edge.core.keypoints import Schema
from fkp_edge.core.picture_headers import read_header
from fkp_edge.errors import InputError

__all__ = ["GLASSES", "Picture", "draw_glasses", "place", "read_effect"]

Picture = NDArray[np.uint8]

GLASSES = "glasses"
"""Name of the drawn pair that comes with the package."""
EYES = ((0.25, 0.5), (0.75, 0.5))
"""Where the right and the left eye of a face lie in an effect's picture, in parts of its width and height."""
MAX_BYTES = 8 * 2**20
MAX_PIXELS = 4_000_000


def read_effect(name: str, schema: Schema) -> Callable[[Picture, NDArray[np.float32]], None]:
    """What places the picture `name` on a frame (H, W, 3), in place, given the points (K, 2) of a face.

    Args:
        name: `glasses`, or a PNG file with transparency whose eyes lie at a quarter and three quarters of its width, in
            the middle of its height.
        schema: of the points.

    Raises:
        InputError: the file cannot be read, or has no transparency.
    """
    picture = draw_glasses() if name == GLASSES else _read(Path(name))

    def apply(frame: Picture, points: NDArray[np.float32]) -> None:
        left, right = schema.eye_centers(points)
        place(frame, picture, right=right, left=left)

    return apply


def place(frame: Picture, picture: Picture, *, right: NDArray[np.floating], left: NDArray[np.floating]) -> None:
    """Draws `picture` (h, w, BGRA) on `frame` (H, W, BGR), in place, by the similarity that brings its eyes there."""
    size = np.array([picture.shape[1], picture.shape[0]])
    start, end = (np.array(eye) * size - 0.5 for eye in EYES)
    span, wanted = complex(*(end - start)), complex(*(left - right))
    if not 2 <= abs(wanted) <= 4 * max(frame.shape):  # a face too small to wear it, or no face
        return
    turn = wanted / span
    move = complex(*right) - turn * complex(*start)
    matrix = np.array([[turn.real, -turn.imag, move.real], [turn.imag, turn.real, move.imag]])
    height, width = frame.shape[:2]
    worn = cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR)
    alpha = worn[..., 3:].astype(np.float32) / 255
    frame[:] = (frame * (1 - alpha) + worn[..., :3] * alpha).round().astype(np.uint8)


def draw_glasses() -> Picture:
    """A pair of sunglasses, (200, 400, 4)."""
    picture = np.zeros((200, 400, 4), np.uint8)
    black, shade = (20, 20, 20, 255), (60, 30, 20, 190)
    for x in (100, 300):
        cv2.ellipse(picture, (x, 104), (78, 62), 0, 0, 360, shade, -1, cv2.LINE_AA)
        cv2.ellipse(picture, (x, 104), (78, 62), 0, 0, 360, black, 10, cv2.LINE_AA)
        cv2.line(picture, (x - 40, 72), (x - 12, 62), (230, 230, 230, 220), 8, cv2.LINE_AA)
    cv2.ellipse(picture, (200, 100), (26, 22), 0, 180, 360, black, 10, cv2.LINE_AA)
    cv2.line(picture, (24, 92), (0, 84), black, 12, cv2.LINE_AA)
    cv2.line(picture, (376, 92), (400, 84), black, 12, cv2.LINE_AA)
    return picture


def _read(path: Path) -> Picture:
    coded = read_bounded(path, MAX_BYTES, f"{GLASSES} or a PNG with transparency")
    try:
        claim = read_header(coded)
        few = claim.pixels <= MAX_PIXELS
        picture = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_UNCHANGED) if few else None
    except (InputError, cv2.error) as error:
        raise InputError(f"effect {path} is no PNG with transparency; expected one, or {GLASSES}") from error
    if not few:
        raise InputError(f"effect {path} has {claim.width}x{claim.height} pixels; expected {MAX_PIXELS} at most")
    if picture is None or picture.ndim != 3 or picture.shape[2] != 4 or picture.dtype != np.uint8:
        raise InputError(f"effect {path} is no PNG with transparency; expected one, or {GLASSES}")
    return np.asarray(picture, np.uint8)
