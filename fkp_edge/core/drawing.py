"""Draws points, boxes and effects such as glasses on pictures, and joins pictures to sheets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.files import read_bounded
from fkp_edge.core.geometry import Box
from fkp_edge.core.keypoints import Schema
from fkp_edge.core.picture_headers import read_header
from fkp_edge.errors import InputError

__all__ = ["GLASSES", "Picture", "draw_face", "draw_glasses", "draw_points", "place", "read_effect", "sheet"]

Picture = NDArray[np.uint8]
Color = tuple[int, int, int]

SHIFT = 4
"""OpenCV draws with this many fractional bits: points stay where they were found."""


def draw_points(picture: Picture, points: NDArray[np.floating], *, color: Color, radius: float = 1.5) -> None:
    """Draws `points` (K, 2) as dots on `picture` (H, W, 3), in place."""
    for x, y in points:
        if np.isfinite(x) and np.isfinite(y):
            at = (round(float(x) * 2**SHIFT), round(float(y) * 2**SHIFT))
            cv2.circle(picture, at, round(radius * 2**SHIFT), color, -1, cv2.LINE_AA, SHIFT)


def draw_face(
    picture: Picture, points: NDArray[np.floating], schema: Schema, *, box: Box | None = None, label: str = ""
) -> None:
    """Draws a face's points, their edges and its box on `picture` (H, W, 3), in place; all as large as the face asks.

    Args:
        picture: to draw on.
        points: (K, 2), pixels of `picture`.
        schema: of the points.
        box: x, y, width, height.
        label: written above the box, or below its top where the picture ends there.
    """
    eyes = float(schema.inter_ocular(points))
    thick = max(1, round(eyes / 60))
    if box is not None:
        x, y, w, h = box
        cv2.rectangle(picture, (round(x), round(y)), (round(x + w), round(y + h)), (200, 160, 60), thick, cv2.LINE_AA)
    for start, end in schema.edges:
        ends = [tuple(int(v) for v in np.round(points[i] * 2**SHIFT)) for i in (start, end)]
        cv2.line(picture, ends[0], ends[1], (90, 200, 90), thick, cv2.LINE_AA, SHIFT)
    draw_points(picture, points, color=(60, 60, 255), radius=max(1.0, eyes / 30))
    if label and box is not None:
        _write(picture, label, box, eyes)


def _write(picture: Picture, label: str, box: Box, eyes: float) -> None:
    """`label` over a dark edge, so that it is read on any ground."""
    size = float(np.clip(eyes / 110, 0.4, 3.0))
    stroke = max(1, round(1.6 * size))
    (width, height), _ = cv2.getTextSize(label, cv2.FONT_HERSHEY_SIMPLEX, size, stroke)
    x = int(np.clip(box[0], 2, max(2, picture.shape[1] - width - 2)))
    y = round(box[1] - 0.4 * height)
    y = y if y > height else round(box[1] + 1.4 * height)
    for color, thick in (((0, 0, 0), stroke + max(2, stroke)), ((255, 255, 255), stroke)):
        cv2.putText(picture, label, (x, y), cv2.FONT_HERSHEY_SIMPLEX, size, color, thick, cv2.LINE_AA)


def sheet(tiles: Sequence[Picture], *, columns: int) -> Picture:
    """`tiles` of one size in rows of `columns`, the last row filled up with black."""
    blank = np.zeros_like(tiles[0])
    padded = [*tiles, *[blank] * (-len(tiles) % columns)]
    rows = [np.hstack(padded[i : i + columns]) for i in range(0, len(padded), columns)]
    return np.vstack(rows)


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
