"""What a finder network sees and says: the letterboxed frame, its maps, crops decoded from them, golden cases."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop

__all__ = [
    "INPUT_SIZE",
    "LEAST",
    "LEVELS",
    "FinderCase",
    "Letterbox",
    "Level",
    "Proposal",
    "decode_maps",
    "finder_arrays",
    "letterbox",
    "read_finder_cases",
]

INPUT_SIZE = (160, 128)
"""Width and height of what the network sees, pixels. A 4:3 frame fills 160x120 of it."""
SHAPE_CHANNELS = 5
"""Of a cell: offset of the centre x, y (cells), logarithm of the side, sine and cosine of the roll."""
LEAST = 0.02
"""Score below which a cell is not looked at."""
OVERLAP = 0.35
"""Two proposals whose squares overlap more (intersection over union) are the same face."""


@dataclass(frozen=True, slots=True)
class Level:
    """One map: which faces it is for."""

    stride: int
    """Input pixels a cell."""
    side: float
    """Side of the crop whose logarithm is coded as 0, input pixels."""
    sides: tuple[float, float]
    """Least and largest side of a crop that the map answers for, input pixels."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the map."""
        return INPUT_SIZE[1] // self.stride, INPUT_SIZE[0] // self.stride


LEVELS = (Level(8, 18.0, (5.5, 40.0)), Level(16, 72.0, (28.0, 220.0)))


@dataclass(frozen=True, slots=True)
class Letterbox:
    """Where a frame lies in the network's input."""

    scale: float
    """Input pixels a frame pixel."""
    left: float
    top: float
    """Input pixels before the frame."""

    def to_frame(self, crop: Crop) -> Crop:
        """A crop in input pixels as one in frame pixels."""
        x = (crop.x + 0.5 - self.left) / self.scale - 0.5
        y = (crop.y + 0.5 - self.top) / self.scale - 0.5
        return Crop(x, y, crop.side / self.scale, crop.roll)


def letterbox(grey: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Letterbox]:
    """`grey` (H, W) as the network's input (128, 160), in the middle, with its border repeated; and where it lies."""
    height, width = grey.shape
    scale = min(INPUT_SIZE[0] / width, INPUT_SIZE[1] / height)
    size = (max(1, min(INPUT_SIZE[0], round(width * scale))), max(1, min(INPUT_SIZE[1], round(height * scale))))
    small = grey
    if size != (width, height):
        small = cv2.resize(grey, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)  # type: ignore[assignment]
    left, top = (INPUT_SIZE[0] - size[0]) // 2, (INPUT_SIZE[1] - size[1]) // 2
    right, bottom = INPUT_SIZE[0] - size[0] - left, INPUT_SIZE[1] - size[1] - top
    framed = cv2.copyMakeBorder(small, top, bottom, left, right, cv2.BORDER_REPLICATE)
    return np.asarray(framed, np.uint8), Letterbox(scale, left, top)


@dataclass(frozen=True, slots=True)
class Proposal:
    """A crop that may frame a face."""

    crop: Crop
    score: float
    """Probability-like, 0 to 1: orders proposals, and is no verdict."""


def decode_maps(
    maps: Sequence[tuple[NDArray[np.floating], NDArray[np.floating]]], *, most: int, least: float = LEAST
) -> list[Proposal]:
    """The best proposals of the network's maps, input pixels, the best first.

    Args:
        maps: of each of `LEVELS`: heat logits (rows, columns) and shapes (rows, columns, 5).
        most: how many at most.
        least: score below which a cell is not looked at, above 0 and below 1.
    """
    found: list[Proposal] = []
    for level, (heat, shape) in zip(LEVELS, maps, strict=True):
        limit = math.log(least / (1 - least))
        peaks = cv2.dilate(np.ascontiguousarray(heat, np.float32), np.ones((3, 3), np.uint8))
        for row, column in np.argwhere((heat >= peaks) & (heat >= limit)).tolist():
            score = 1 / (1 + math.exp(-float(heat[row, column])))
            dx, dy, size, sine, cosine = (float(v) for v in shape[row, column])
            x = (column + 0.5 + dx) * level.stride - 0.5
            y = (row + 0.5 + dy) * level.stride - 0.5
            side = level.side * math.exp(min(max(size, -3.0), 3.0))
            found.append(Proposal(Crop(x, y, side, math.atan2(sine, cosine)), score))
    found.sort(key=lambda proposal: -proposal.score)
    kept: list[Proposal] = []
    for proposal in found:
        if all(_overlap(proposal.crop, other.crop) < OVERLAP for other in kept):
            kept.append(proposal)
            if len(kept) == most:
                break
    return kept


def _overlap(a: Crop, b: Crop) -> float:
    """Intersection over union of the two squares as if neither was turned."""
    width = min(a.x + a.side / 2, b.x + b.side / 2) - max(a.x - a.side / 2, b.x - b.side / 2)
    height = min(a.y + a.side / 2, b.y + b.side / 2) - max(a.y - a.side / 2, b.y - b.side / 2)
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a.side**2 + b.side**2 - width * height)


RAW = ("fine_heat", "fine_shape", "coarse_heat", "coarse_shape")


@dataclass(frozen=True, eq=False)
class FinderCase:
    """One frame and what each stage made of it."""

    frame: NDArray[np.uint8]
    """(H, W)."""
    pixels: NDArray[np.uint8]
    """(128, 160): `letterbox` of the frame."""
    raw: tuple[NDArray[Any], ...]
    """The maps as the network gives them, in its own type."""
    proposals: NDArray[np.float32]
    """(N, 5): x, y, side, roll in radians and score of each proposal, frame pixels, the best first."""


def finder_arrays(cases: tuple[FinderCase, ...]) -> dict[str, NDArray[Any]]:
    """The arrays that hold `cases`, by the names that `read_finder_cases` reads."""
    arrays: dict[str, NDArray[Any]] = {"count": np.array(len(cases))}
    for i, case in enumerate(cases):
        arrays |= {f"frame{i}": case.frame, f"pixels{i}": case.pixels, f"proposals{i}": case.proposals}
        arrays |= {f"{name}{i}": array for name, array in zip(RAW, case.raw, strict=True)}
    return arrays


def read_finder_cases(arrays: Mapping[str, NDArray[Any]]) -> tuple[FinderCase, ...]:
    """The cases in `arrays`; KeyError where one is missing."""
    return tuple(
        FinderCase(
            frame=arrays[f"frame{i}"],
            pixels=arrays[f"pixels{i}"],
            raw=tuple(arrays[f"{name}{i}"] for name in RAW),
            proposals=arrays[f"proposals{i}"],
        )
        for i in range(int(arrays["count"]))
    )
