"""The finder on a picture of any size: whole, then in ever smaller parts, which it sees ever larger."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop, box_around, iou
from fkp_edge.device.detection.finder_search import Finds

__all__ = ["propose_everywhere"]

MAX_WHOLE, MAX_PART = 8, 4
"""Proposals of the whole picture, and of each part."""
SMALLEST_PART = 160
"""Longer side, pixels, below which a part shows the finder nothing that the larger one did not."""
MAX_DIVISIONS = 8
"""Parts along a side at most."""
OVERLAP = 0.25
"""Of a part's side, shared with its neighbour: a face between two is whole in one."""
SAME = 0.5
"""Intersection over union from which two proposals are of one face."""


def propose_everywhere(finder: Finds, grey: NDArray[np.uint8], *, border: float = 0.0) -> list[Crop]:
    """Crops that may hold a face in `grey` (H, W), large ones first.

    Args:
        finder: proposes them.
        grey: a picture of any size.
        border: share of the shorter side by which its border is repeated around the whole, for faces that fill it.
    """
    by = round(border * min(grey.shape))
    wide = np.asarray(cv2.copyMakeBorder(grey, by, by, by, by, cv2.BORDER_REPLICATE), np.uint8)
    found = [moved(crop, -by, -by) for crop in finder.propose(wide, max_proposals=MAX_WHOLE)]
    for left, top, part in _parts(grey):
        for crop in finder.propose(part, max_proposals=MAX_PART):
            here = moved(crop, left, top)
            if all(iou(box_around(here), box_around(other)) < SAME for other in found):
                found.append(here)
    return found


def moved(crop: Crop, right: float, down: float) -> Crop:
    """`crop` so many pixels further right and down."""
    return Crop(crop.x + right, crop.y + down, crop.side, crop.roll)


def _parts(grey: NDArray[np.uint8]) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """Left and top of overlapping parts of `grey`, and their pixels; the largest first."""
    divisions = 2
    while divisions <= MAX_DIVISIONS:
        height, width = (max(1, round(side * (1 + OVERLAP) / divisions)) for side in grey.shape)
        if max(height, width) < SMALLEST_PART:
            return
        for row in range(divisions):
            for column in range(divisions):
                top = round((grey.shape[0] - height) * row / (divisions - 1))
                left = round((grey.shape[1] - width) * column / (divisions - 1))
                yield left, top, np.ascontiguousarray(grey[top : top + height, left : left + width])
        divisions *= 2
