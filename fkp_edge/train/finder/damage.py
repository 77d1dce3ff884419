"""What happens to frames: other light, blur, noise, compression, covered faces, and faces painted out."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop
from fkp_edge.train.finder.drawing import backdrop
from fkp_edge.train.finder.moves import Frame
from fkp_edge.train.finder.recipe import Compose

__all__ = ["degraded", "paint_out"]

Grey = NDArray[np.uint8]


def degraded(frame: Frame, config: Compose, rng: np.random.Generator) -> Frame:
    """`frame` in other light, blurred, noisy, compressed, its faces partly covered."""
    c, pixels = config, frame.pixels.copy()
    for crop in frame.faces:
        if rng.random() < c.cover_share:
            _cover(pixels, crop, rng)
    if rng.random() < c.blur_share:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.4, 1.4))), np.uint8)
    dark = rng.random() < c.dark_share
    levels: NDArray[np.floating] = np.arange(256, dtype=np.float32)
    mean = float(pixels.mean())
    levels = (levels - mean) * math.exp(rng.normal(0, 0.25)) + mean + rng.normal(0, 22)
    levels = 255 * (np.clip(levels, 0, 255) / 255) ** math.exp(rng.normal(0, 0.25))
    if dark:
        levels *= rng.uniform(0.08, 0.5)
    lit: NDArray[np.floating] = levels.astype(np.float32)[pixels]
    if rng.random() < 0.15:
        height, width = pixels.shape
        angle, strength = rng.uniform(0, 2 * math.pi), rng.uniform(0.3, 1.0)
        across = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :] * math.cos(angle)
        down = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] * math.sin(angle)
        lit = lit * (1 + strength * (across + down))
    if rng.random() < c.noise_share:
        lit = lit + rng.standard_normal(pixels.shape, np.float32) * np.float32(rng.uniform(1, 5 if dark else 12))
    pixels = np.clip(lit, 0, 255).astype(np.uint8)
    if rng.random() < c.jpeg_share:
        coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(25, 80))])[1]
        pixels = np.asarray(cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE), np.uint8)
    return Frame(pixels, frame.faces, frame.ignore)


def paint_out(pixels: Grey, crop: Crop, rng: np.random.Generator) -> None:
    """Paints over the face in `crop`, in place: with what lies elsewhere, with grey, or with noise."""
    height, width = pixels.shape
    reach = 0.75 * crop.side
    if crop.x + reach < 0 or crop.y + reach < 0 or crop.x - reach > width or crop.y - reach > height:
        return
    mask = np.zeros_like(pixels)
    axes = (max(1, int(reach * 0.95)), max(1, int(reach * 1.15)))
    cv2.ellipse(mask, (int(crop.x), int(crop.y)), axes, math.degrees(crop.roll), 0, 360, 255, -1)
    kind = rng.random()
    if kind < 0.4:  # the picture moved and flipped, where that shows no face itself
        other = np.roll(pixels, (int(rng.integers(height)), int(rng.integers(width))), (0, 1))
        fill = _smeared(other, max(4.0, crop.side * 0.3))
    elif kind < 0.7:
        fill = np.full_like(pixels, int(rng.integers(256)))
    elif kind < 0.85:
        fill = backdrop((width, height), rng)
    else:
        fill = _smeared(pixels, max(6.0, crop.side * 0.8))
    soft = cv2.GaussianBlur(mask, (0, 0), float(rng.uniform(0.5, 2.5))).astype(np.float32) / 255
    pixels[:] = (pixels * (1 - soft) + fill * soft).astype(np.uint8)


def _smeared(pixels: Grey, reach: float) -> Grey:
    """`pixels` with nothing left that is smaller than `reach`."""
    height, width = pixels.shape
    few = cv2.resize(
        pixels, (max(2, round(width / reach)), max(2, round(height / reach))), interpolation=cv2.INTER_AREA
    )
    return np.asarray(cv2.resize(few, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def _cover(pixels: Grey, crop: Crop, rng: np.random.Generator) -> None:
    """Covers a part of a face, in place, as hands, masks and other heads do."""
    height, width = pixels.shape
    w, h = (max(1, int(v)) for v in rng.uniform(0.15, 0.5, 2) * crop.side)
    x, y = int(crop.x + rng.uniform(-0.5, 0.5) * crop.side), int(crop.y + rng.uniform(-0.5, 0.5) * crop.side)
    left, top, right, bottom = max(0, x - w // 2), max(0, y - h // 2), min(width, x + w), min(height, y + h)
    if right > left and bottom > top:
        pixels[top:bottom, left:right] = int(rng.integers(256))
