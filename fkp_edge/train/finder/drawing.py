"""Backdrops without a face: noise at several scales, gradients, stripes, checks, discs and lines."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["backdrop"]

Grey = NDArray[np.uint8]


def backdrop(size: tuple[int, int], rng: np.random.Generator) -> Grey:
    """A drawn picture of `size` (width, height)."""
    kind = rng.integers(5)
    if kind == 0:
        return np.full((size[1], size[0]), int(rng.integers(256)), np.uint8)
    canvas = _clouds(size, rng)
    if kind == 2:
        canvas = _stripes(size, rng) * 0.7 + canvas * 0.3
    if kind >= 3:
        _shapes(canvas, rng)
    return np.clip(canvas, 0, 255).astype(np.uint8)


def _clouds(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise at a few scales about a level."""
    canvas = np.full((size[1], size[0]), rng.uniform(20, 235), np.float32)
    for _ in range(int(rng.integers(1, 4))):
        cells = int(rng.integers(2, 40))
        noise = rng.standard_normal((cells, cells), np.float32) * np.float32(rng.uniform(5, 60))
        canvas += cv2.resize(noise, size, interpolation=cv2.INTER_CUBIC)
    return canvas


def _stripes(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """Stripes or checks, sharp or soft."""
    across, down = np.meshgrid(np.arange(size[0], dtype=np.float32), np.arange(size[1], dtype=np.float32))
    angle, period = rng.uniform(0, math.pi), rng.uniform(4, 60)
    wave = np.sin((across * math.cos(angle) + down * math.sin(angle)) * (2 * math.pi / period))
    if rng.random() < 0.5:
        wave = wave * np.sin((down * math.cos(angle) - across * math.sin(angle)) * (2 * math.pi / period))
    if rng.random() < 0.5:
        wave = np.sign(wave)
    return np.asarray(128 + wave * rng.uniform(20, 110), np.float32)


def _shapes(canvas: NDArray[np.float32], rng: np.random.Generator) -> None:
    """Draws discs, boxes, rings and lines over `canvas`; two dark discs over a line may come by chance, rarely."""
    height, width = canvas.shape
    for _ in range(int(rng.integers(2, 14))):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        size, level = int(math.exp(rng.uniform(0.7, 4.0))), float(rng.integers(256))
        thick = -1 if rng.random() < 0.6 else int(rng.integers(1, 5))
        kind = rng.integers(3)
        if kind == 0:
            axes = (size, max(1, int(size * rng.uniform(0.5, 1.6))))
            cv2.ellipse(canvas, (x, y), axes, float(rng.uniform(0, 180)), 0, 360, level, thick)
        elif kind == 1:
            cv2.rectangle(canvas, (x, y), (x + size, y + int(size * rng.uniform(0.3, 3))), level, thick)
        else:
            end = (int(rng.integers(width)), int(rng.integers(height)))
            cv2.line(canvas, (x, y), end, level, int(rng.integers(1, 6)))
