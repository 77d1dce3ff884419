"""Draws points and boxes on pictures, and joins pictures to sheets."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Box
from fkp_edge.core.keypoints import Schema

__all__ = ["draw_face", "draw_points", "sheet"]

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
