"""Looks for upright faces, and in turns for tilted ones, which Haar itself does not see."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.device.haar import HaarDetector
from fkp_edge.geometry import Box, Crop, crop_from_box

__all__ = ["TurningDetector"]

TURNS = (30.0, -30.0)
"""Degrees, clockwise on the screen, by which faces are tilted that are looked for beside upright ones."""


class TurningDetector:
    """Proposes upright faces; where there are none, each time those of the next turn. Not for two threads at once."""

    def __init__(self, detector: HaarDetector) -> None:
        self._detector = detector
        self._turns = itertools.cycle(TURNS)

    def detect(self, grey: NDArray[np.uint8]) -> Sequence[Box | Crop]:
        """Boxes of faces in `grey` (H, W), or crops that are turned as the face is."""
        boxes = self._detector.detect(grey)
        return boxes or self.detect_turned(grey, next(self._turns))

    def detect_turned(self, grey: NDArray[np.uint8], degrees: float) -> list[Crop]:
        """Crops of faces in `grey` (H, W) that are tilted by about `degrees` clockwise, the largest first."""
        height, width = grey.shape
        longest = self._detector.settings.longest_side
        zoom = min(1.0, longest / max(height, width))
        turn = _turn(degrees) * zoom
        size = (math.ceil(zoom * width), math.ceil(zoom * height))
        middle, new_middle = complex(width - 1, height - 1) / 2, complex(size[0] - 1, size[1] - 1) / 2
        turn = turn.conjugate()  # frame -> turned picture
        offset = new_middle - turn * middle
        matrix = np.array([[turn.real, -turn.imag, offset.real], [turn.imag, turn.real, offset.imag]])
        turned = cv2.warpAffine(grey, matrix, size, flags=cv2.INTER_AREA, borderMode=cv2.BORDER_CONSTANT)
        crops = []
        for box in self._detector.detect(np.asarray(turned, np.uint8)):
            crop = crop_from_box(box)
            place = (complex(crop.x, crop.y) - offset) / turn
            crops.append(Crop(place.real, place.imag, crop.side / zoom, math.radians(degrees)))
        return crops


def _turn(degrees: float) -> complex:
    """The rotation by `degrees` clockwise on the screen."""
    return complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
