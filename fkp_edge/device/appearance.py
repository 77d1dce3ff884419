"""What a crop looks like, coarsely: by that two faces, or two sights of one thing, are told apart."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["coarse_pattern"]

SIDE = 12
"""Of the small picture, pixels."""


def coarse_pattern(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The coarse pattern (12, 12) of a crop (H, W), whatever its light: zero mean, unit length.

    The sum of two patterns' products is their correlation, -1 to 1.
    """
    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-6)
