"""What a search gives, and what every search can do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Box, Crop, crop_from_box
from fkp_edge.core.observation import Frame

__all__ = ["Detect", "Proposal", "Search", "as_crop", "coarse_pattern"]

Proposal = Box | Crop
"""Where a face may be: a box, or a crop that is turned as the face is."""
Detect = Callable[[NDArray[np.uint8]], Sequence[Proposal]]
"""Possible faces in a grey picture (H, W)."""


class Search(Protocol):
    """Looks for faces in whole frames."""

    @property
    def count(self) -> int:
        """Searches begun."""
        ...

    @property
    def quick(self) -> bool:
        """Whether it keeps the caller waiting for about as long as one more face does, so that it may look often."""
        ...

    def look(self, frame: Frame, *, following: bool = False) -> Sequence[Proposal] | None:
        """Where faces may be in `frame`, the most likely first.

        Args:
            frame: the newest one.
            following: a face is followed in it, whose points must not be late.

        Returns:
            Proposals from `frame` or one shortly before; None where no answer is ready yet.
        """
        ...

    def close(self) -> None:
        """Ends the search; twice is fine."""
        ...


def as_crop(proposal: Proposal) -> Crop:
    """`proposal` as a crop; a box is upright."""
    return proposal if isinstance(proposal, Crop) else crop_from_box(proposal)


SIDE = 12
"""Of the small picture, pixels."""


def coarse_pattern(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The coarse pattern (12, 12) of a crop (H, W), whatever its light: zero mean, unit length.

    The sum of two patterns' products is their correlation, -1 to 1.
    """
    small = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.float32)
    small -= small.mean()
    return small / max(float(np.linalg.norm(small)), 1e-6)
