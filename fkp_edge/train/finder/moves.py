"""Frames to learn from, and where a source's picture and faces come to lie in one."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop
from fkp_edge.train.finder.sources import Source

__all__ = ["Frame", "Move", "fill", "share", "warped"]

Grey = NDArray[np.uint8]


@dataclass(eq=False)
class Frame:
    """A composed frame, as the network sees it."""

    pixels: Grey
    """(128, 160)."""
    faces: list[Crop] = field(default_factory=list)
    ignore: list[Crop] = field(default_factory=list)
    """Where no answer is right or wrong: faces nobody labelled, too small, or nearly hidden."""


@dataclass(frozen=True, slots=True)
class Move:
    """A similarity from a source's pixels to the frame's, mirrored first where asked."""

    scale: float
    roll: float
    x: float
    """Where `about` comes to lie."""
    y: float
    about: tuple[float, float]
    """A point of the (mirrored) source."""
    mirror: float = 0.0
    """Width - 1 of the source where it is mirrored, else 0."""

    def matrix(self) -> NDArray[np.float64]:
        """(2, 3), from the source to the frame."""
        a, b = self.scale * math.cos(self.roll), self.scale * math.sin(self.roll)
        ax, ay = self.about
        move = np.array([[a, -b, self.x - a * ax + b * ay], [b, a, self.y - b * ax - a * ay]])
        if self.mirror:
            move[:, 2] += move[:, 0] * self.mirror
            move[:, 0] *= -1
        return move

    def crop(self, crop: Crop) -> Crop:
        """`crop` of the source as one of the frame."""
        x, y = self.matrix() @ [crop.x, crop.y, 1.0]
        roll = (-crop.roll if self.mirror else crop.roll) + self.roll
        return Crop(float(x), float(y), crop.side * self.scale, math.remainder(roll, 2 * math.pi))


def fill(mask: Grey, outline: NDArray[np.float64], move: Move) -> None:
    """Fills the moved `outline` (N, 2) of a source in `mask`, in place."""
    matrix = move.matrix()
    points = outline @ matrix[:, :2].T + matrix[:, 2]
    cv2.fillConvexPoly(mask, np.round(points * 16).astype(np.int32), 255, cv2.LINE_AA, 4)


def warped(source: Source, move: Move, size: tuple[int, int], border: int) -> Grey:
    """The moved picture of `source` in a frame of `size`, drawn from the copy that is nearest in size."""
    level = int(np.clip(round(-math.log2(max(move.scale, 1e-6)) - 0.1), 0, len(source.levels) - 1))
    factor = 2.0**level
    matrix = move.matrix()
    # level pixel q shows source pixel (q + 0.5) * factor - 0.5
    scaled = matrix[:, :2] * factor
    shift = matrix[:, 2] + matrix[:, :2].sum(1) * (0.5 * factor - 0.5)
    full = np.concatenate([scaled, shift[:, None]], 1)
    return np.asarray(
        cv2.warpAffine(source.levels[level], full, size, flags=cv2.INTER_LINEAR, borderMode=border), np.uint8
    )


def share(cover: NDArray[np.floating], crop: Crop) -> float:
    """Mean of `cover` (H, W) over the square of `crop`, where outside counts as 0."""
    half = crop.side * 0.5
    height, width = cover.shape
    left, right = max(0, round(crop.x - half)), min(width, round(crop.x + half) + 1)
    top, bottom = max(0, round(crop.y - half)), min(height, round(crop.y + half) + 1)
    if right <= left or bottom <= top:
        return 0.0
    return float(cover[top:bottom, left:right].sum()) / (2 * half + 1) ** 2
