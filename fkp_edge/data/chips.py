"""Face chips: a picture's part around one face, as the research sets have them, with the face's points."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.keypoints import Points

__all__ = ["Chip", "cut_chip"]

MARGIN = 2.4
"""Side of a chip in sizes of the face, the longer side of the box around its points."""
MAX_FACE = 112
"""Pixels that the face spans at most: a larger one is reduced."""
QUALITY = 95
"""Of the JPEG."""


@dataclass(frozen=True, eq=False)
class Chip:
    """One face, cut out."""

    picture: NDArray[np.uint8]
    """(H, W) grey."""
    points: Points
    """(K, 2), pixels of the chip."""
    corner: tuple[int, int]
    """Pixel (x, y) of the picture at which the chip begins."""
    scale: tuple[float, float]
    """Chip pixels per pixel of the picture, in x and y."""

    def to_picture(self, points: NDArray[np.floating]) -> Points:
        """Pixels of the chip (K, 2) as pixels of the picture that it was cut from."""
        return np.asarray((points + 0.5) / self.scale - 0.5 + self.corner, np.float32)

    def coded(self) -> bytes:
        """The picture as JPEG."""
        return cv2.imencode(".jpg", self.picture, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()


def cut_chip(grey: NDArray[np.uint8], points: Points) -> Chip:
    """The square around a face, cut at the picture's border, and reduced where the face is large.

    Args:
        grey: (H, W), the whole picture.
        points: (K, 2) of the face, pixels of `grey`.
    """
    low, high = points.min(0).astype(float), points.max(0).astype(float)
    size = max(1.0, float((high - low).max()))
    middle, half = (low + high) / 2, MARGIN * size / 2
    height, width = grey.shape
    left, top = (int(np.clip(round(v - half), 0, most - 1)) for v, most in zip(middle, (width, height), strict=True))
    right, bottom = (
        int(np.clip(round(v + half), start + 1, most))
        for v, start, most in zip(middle, (left, top), (width, height), strict=True)
    )
    cut, scale = grey[top:bottom, left:right], (1.0, 1.0)
    if size > MAX_FACE:
        reduced = tuple(max(1, round(side * MAX_FACE / size)) for side in (right - left, bottom - top))
        scale = (reduced[0] / (right - left), reduced[1] / (bottom - top))
        cut = np.asarray(cv2.resize(cut, reduced, interpolation=cv2.INTER_AREA), np.uint8)
    moved = (points.astype(np.float64) - (left, top) + 0.5) * scale - 0.5
    return Chip(np.ascontiguousarray(cut), np.asarray(moved, np.float32), (left, top), scale)
