"""Changes of training pictures that the published systems used: shift, rotation, mirror, brightness."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.keypoints import Points, Schema
from fkp_edge.train.augment import mirror
from fkp_edge.train.published.recipe import Augment

__all__ = ["augmented", "brightened", "moved"]

Grey = NDArray[np.uint8]


def augmented(
    pixels: Grey, units: Points, schema: Schema, rng: np.random.Generator, config: Augment
) -> tuple[Grey, Points]:
    """A picture (96, 96) and its points (K, 2) in crop units, changed at random as `config` says."""
    if config.shift_px or config.roll_deg:
        shift = rng.uniform(-config.shift_px, config.shift_px, 2)
        pixels, units = moved(pixels, units, shift, rng.uniform(-config.roll_deg, config.roll_deg))
    if rng.random() < config.flip_share:
        pixels, units = mirror(pixels, units, schema)
    if rng.random() < config.bright_share:
        pixels = brightened(pixels, rng.uniform(*config.brightness))
    return pixels, units


def moved(pixels: Grey, units: Points, shift_px: NDArray[np.floating], roll_deg: float) -> tuple[Grey, Points]:
    """The picture turned clockwise about its middle, then shifted by (x, y); where it ends its border repeats."""
    cos, sin = math.cos(math.radians(roll_deg)), math.sin(math.radians(roll_deg))
    turn = np.array([[cos, -sin], [sin, cos]])
    middle = np.full(2, (CROP_SIZE - 1) / 2)
    offset = middle + shift_px - turn @ middle
    picture = cv2.warpAffine(
        pixels, np.column_stack([turn, offset]), (CROP_SIZE, CROP_SIZE), borderMode=cv2.BORDER_REPLICATE
    )
    points = (units * CROP_SIZE - 0.5) @ turn.T + offset
    return np.asarray(picture, np.uint8), np.asarray((points + 0.5) / CROP_SIZE, np.float32)


def brightened(pixels: Grey, factor: float) -> Grey:
    """The picture times `factor`, clipped at 255."""
    return np.asarray(np.minimum(pixels * factor, 255), np.uint8)
