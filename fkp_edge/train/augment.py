"""Training crops: what the device's crops differ by, in place and in light. NumPy and OpenCV only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import (
    CROP_SIZE,
    HAAR_JITTER,
    TRACK_JITTER,
    Box,
    Crop,
    Jitter,
    box_around,
    can_track,
    crop_from_box,
    extract,
    iou,
    jittered,
    tracked_crop,
)
from fkp_edge.core.keypoints import Points, Schema
from fkp_edge.data import FaceSet
from fkp_edge.evaluation.evaluate import MATCH
from fkp_edge.train.recipe import Augment

__all__ = ["degrade", "face_crop", "mirror", "sample_crop"]

WIDE_JITTER = Jitter(shift=0.08, scale=0.18, roll=8.0)
BOX_JITTER = Jitter(shift=0.03, scale=0.05, roll=0.0)
"""Around a real box, so that one box gives many crops."""

HALF = 0.5
"""Half-framed crops overlap the labels' crop (intersection over union) by less than this, and by `MATCH` at least."""

Grey = NDArray[np.uint8]


def sample_crop(
    faces: FaceSet, index: int, rng: np.random.Generator, config: Augment, boxes: Sequence[Box] = ()
) -> Crop:
    """A crop of face `index` framed as the labels, Haar, the tracker or a late tracker would frame it.

    `boxes` are Haar's own on this picture; half of its crops come from them where there are any.
    """
    aim = faces.crop(index)
    draw = rng.random()
    roll = config.roll_deg
    if draw < config.haar_share:
        if boxes and rng.random() < 0.5:
            aim = jittered(crop_from_box(boxes[int(rng.integers(len(boxes)))]), BOX_JITTER, rng)
        else:
            aim = jittered(aim, HAAR_JITTER, rng)
    elif draw < config.haar_share + config.track_share:
        if can_track(faces.points[index]):
            aim = tracked_crop(faces.points[index], faces.schema, rng, point_error=config.point_error)
        else:
            aim = jittered(aim, TRACK_JITTER, rng)
        roll /= 3
    elif draw < config.haar_share + config.track_share + config.wide_share:
        aim = jittered(aim, WIDE_JITTER, rng)
    elif draw < config.haar_share + config.track_share + config.wide_share + config.half_share:
        aim = _half_framed(aim, rng)
    else:
        aim = jittered(aim, Jitter(shift=0.02, scale=0.05, roll=0.0), rng)
    return replace(aim, roll=aim.roll + math.radians(rng.normal(0, roll)))


def _half_framed(crop: Crop, rng: np.random.Generator) -> Crop:
    """`crop` of a face moved and scaled as far as counts as framing it: the points then say where the rest is."""
    while True:
        dx, dy = rng.uniform(-0.6, 0.6, 2) * crop.side
        moved = Crop(crop.x + dx, crop.y + dy, crop.side * math.exp(rng.uniform(-0.6, 0.5)))
        if MATCH <= iou(box_around(moved), box_around(crop)) < HALF:
            return moved


def face_crop(
    faces: FaceSet, index: int, rng: np.random.Generator, config: Augment, boxes: Sequence[Box] = ()
) -> tuple[NDArray[np.uint8], Points]:
    """One augmented crop (96, 96) of face `index` and its points in crop units (K, 2), NaN where unlabelled."""
    crop = sample_crop(faces, index, rng, config, boxes)
    image, points = faces.images[index], faces.points[index]
    if rng.random() < config.cut_share:
        image, crop, points = _cut(image, crop, points, rng)
    pixels, units = extract(image, crop), crop.to_units(points)
    if rng.random() < 0.5:
        pixels, units = mirror(pixels, units, faces.schema)
    return degrade(pixels, rng, config), units


def mirror(pixels: Grey, units: Points, schema: Schema) -> tuple[Grey, Points]:
    """The crop and its points in crop units seen in a mirror, left and right exchanged."""
    return np.ascontiguousarray(pixels[:, ::-1]), schema.mirrored(units)


def _cut(image: Grey, crop: Crop, points: Points, rng: np.random.Generator) -> tuple[Grey, Crop, Points]:
    """Cuts the picture up to 35 % inside the crop, at one border: the device repeats the edge of its frame there."""
    inside = crop.side * (0.5 - rng.uniform(0.0, 0.35))
    height, width = image.shape
    side = rng.integers(4)
    if side == 0 and 0 < (left := int(crop.x - inside)) < width - 8:
        return image[:, left:], replace(crop, x=crop.x - left), points - np.array([left, 0], np.float32)
    if side == 1 and 8 < (right := int(crop.x + inside)) < width:
        return image[:, :right], crop, points
    if side == 2 and 0 < (top := int(crop.y - inside)) < height - 8:
        return image[top:], replace(crop, y=crop.y - top), points - np.array([0, top], np.float32)
    if side == 3 and 8 < (bottom := int(crop.y + inside)) < height:
        return image[:bottom], crop, points
    return image, crop, points


def degrade(pixels: Grey, rng: np.random.Generator, config: Augment) -> Grey:
    """`pixels` (96, 96) with the light, blur, noise, compression and coverings of cheap cameras."""
    if rng.random() < config.small_share:
        size = int(rng.integers(28, 81))
        small = cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA)
        pixels = cv2.resize(small, (CROP_SIZE, CROP_SIZE), interpolation=cv2.INTER_LINEAR)  # type: ignore[assignment]
    if rng.random() < config.blur_share:
        pixels = _blur(pixels, rng)
    if rng.random() < config.erase_share:
        pixels = _erase(pixels, rng)
    pixels = _light(pixels, rng, config)
    if rng.random() < config.noise_share:
        noise = rng.standard_normal(pixels.shape, np.float32) * np.float32(rng.uniform(2, 16))
        pixels = np.clip(pixels + noise, 0, 255).astype(np.uint8)
    if rng.random() < config.jpeg_share:
        coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(20, 70))])[1]
        pixels = cv2.imdecode(coded, cv2.IMREAD_GRAYSCALE)  # type: ignore[assignment]
    return pixels


def _blur(pixels: Grey, rng: np.random.Generator) -> Grey:
    if rng.random() < 0.5:
        return cv2.GaussianBlur(pixels, (0, 0), float(rng.uniform(0.4, 1.8)))  # type: ignore[return-value]
    length = int(rng.integers(3, 10))
    kernel = np.zeros((length, length), np.float32)
    angle, middle = rng.uniform(0, math.pi), (length - 1) / 2
    step = np.array([math.cos(angle), math.sin(angle)]) * middle
    start, end = (np.round([middle, middle] + sign * step).astype(int).tolist() for sign in (-1, 1))
    cv2.line(kernel, start, end, 1.0)
    return cv2.filter2D(pixels, -1, kernel / kernel.sum())  # type: ignore[return-value]


def _erase(pixels: Grey, rng: np.random.Generator) -> Grey:
    """Covers a rectangle with flat grey or with noise: hands, hair, masks."""
    w, h = (int(v) for v in rng.integers(8, 44, 2))
    x, y = int(rng.integers(0, CROP_SIZE - w)), int(rng.integers(0, CROP_SIZE - h))
    pixels = pixels.copy()
    fill = rng.integers(0, 256, (h, w)) if rng.random() < 0.3 else rng.integers(0, 256)
    pixels[y : y + h, x : x + w] = fill
    return pixels


def _light(pixels: Grey, rng: np.random.Generator, config: Augment) -> Grey:
    """Contrast about the mean, brightness and gamma, as one look-up table; now and then light from one side."""
    levels = np.arange(256, dtype=np.float32)
    mean = float(pixels.mean())
    levels = (levels - mean) * math.exp(rng.normal(0, config.contrast)) + mean + rng.normal(0, config.brightness)
    table = (255 * (np.clip(levels, 0, 255) / 255) ** math.exp(rng.normal(0, config.gamma))).astype(np.uint8)
    lit = np.asarray(table[pixels], np.uint8)
    if rng.random() < 0.2:
        angle, strength = rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 0.7)
        ramp = np.linspace(-0.5, 0.5, CROP_SIZE, dtype=np.float32)
        slope = math.cos(angle) * ramp[None, :] + math.sin(angle) * ramp[:, None]
        lit = np.asarray(np.clip(lit * (1 + strength * slope), 0, 255), np.uint8)
    return lit
