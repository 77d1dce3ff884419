"""Where something in one frame is in a later one: what a slow search found may have moved on meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import CROP_SIZE, Box, Crop, crop_from_box, extract

__all__ = ["moved_on"]

REACH = 4
"""Sides of the square, in sides of the proposal, in which its picture is looked for."""
ALIKE = 0.6
"""Correlation from which the picture there is taken for the one before."""
BETTER = 0.1
"""Correlation by which it must be more alike than what is now at the old place."""
FLAT = 4.0
"""Standard deviation, grey levels, below which a picture has nothing to be known by."""


def moved_on(
    proposals: Sequence[Box | Crop], before: NDArray[np.uint8], now: NDArray[np.uint8], *, most: int
) -> list[Box | Crop]:
    """`proposals` found in the frame `before` (H, W) where their pictures are `now`; the first `most` of them only.

    What is not seen again near its old place, or still is there, stays as it was proposed.
    """
    if before.shape != now.shape:
        return list(proposals)
    return [_moved(proposal, before, now) if i < most else proposal for i, proposal in enumerate(proposals)]


def _moved(proposal: Box | Crop, before: NDArray[np.uint8], now: NDArray[np.uint8]) -> Box | Crop:
    crop = proposal if isinstance(proposal, Crop) else crop_from_box(proposal)
    upright = replace(crop, roll=0.0)
    around = replace(upright, side=crop.side * REACH)
    size = CROP_SIZE // REACH
    picture = cv2.resize(extract(before, upright), (size, size), interpolation=cv2.INTER_AREA)
    if float(picture.std()) < FLAT:
        return proposal
    alike = np.nan_to_num(cv2.matchTemplate(extract(now, around), picture, cv2.TM_CCOEFF_NORMED), posinf=0, neginf=0)
    stays = (CROP_SIZE - size) // 2
    row, column = np.unravel_index(int(alike.argmax()), alike.shape)
    best, still = float(alike[row, column]), float(alike[stays, stays])
    if best < ALIKE or best < still + BETTER:
        return proposal
    dx, dy = ((int(at) - stays) * around.side / CROP_SIZE for at in (column, row))
    if isinstance(proposal, Crop):
        return replace(proposal, x=proposal.x + dx, y=proposal.y + dy)
    x, y, w, h = proposal
    return (x + dx, y + dy, w, h)
