"""Looks for upright faces, and in turns for tilted ones, which Haar itself does not see."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Box, Crop, crop_from_box
from fkp_edge.device.detection.haar import WINDOW, HaarDetector

__all__ = ["RotatedDetector"]

TURNS = (30.0, -30.0)
"""Degrees, clockwise on the screen, by which faces are tilted that are looked for beside upright ones."""


class RotatedDetector:
    """Proposes upright faces; where there are none, those of the next turn. Not for two threads at once.

    Upright boxes that hold no face must not keep a tilted one from being found: each second time in a row that there
    are some, those of all turns come between them.
    """

    def __init__(self, detector: HaarDetector) -> None:
        self._detector = detector
        self._turns = itertools.cycle(TURNS)
        self._upright_alone = False
        """What was proposed last were upright boxes alone."""

    def detect(self, grey: NDArray[np.uint8]) -> Sequence[Box | Crop]:
        """Boxes of faces in `grey` (H, W), or crops that are turned as the face is; the largest of each turn first."""
        boxes = self._detector.detect(grey)
        self._upright_alone = bool(boxes) and not self._upright_alone
        if self._upright_alone:
            return boxes
        turns = TURNS if boxes else (next(self._turns),)
        found: list[Sequence[Box | Crop]] = [boxes, *(self.detect_rotated(grey, degrees) for degrees in turns)]
        rows = itertools.zip_longest(*found)
        return [proposal for row in rows for proposal in row if proposal is not None]

    def detect_rotated(self, grey: NDArray[np.uint8], degrees: float) -> list[Crop]:
        """Crops of faces in `grey` (H, W) that are tilted by about `degrees` clockwise, the largest first."""
        if min(grey.shape) < WINDOW:
            return []
        small, shrink = self._detector.reduce(grey)
        height, width = small.shape
        right, down = grey.shape[1] / width, grey.shape[0] / height
        turn, middle = _turn(-degrees), complex(width - 1, height - 1) / 2  # from the reduced to the turned picture
        offset = middle - turn * middle
        matrix = np.array([[turn.real, -turn.imag, offset.real], [turn.imag, turn.real, offset.imag]])
        turned = np.asarray(cv2.warpAffine(small, matrix, (width, height)), np.uint8)
        crops = []
        for box in self._detector.find(turned, shrink):
            crop = crop_from_box(box)
            place = (complex(crop.x, crop.y) - offset) / turn
            x, y = (place.real + 0.5) * right - 0.5, (place.imag + 0.5) * down - 0.5
            crops.append(Crop(x, y, crop.side * right, math.radians(degrees)))
        return crops


def _turn(degrees: float) -> complex:
    """The rotation by `degrees` clockwise on the screen."""
    return complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
