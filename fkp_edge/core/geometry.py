"""Frame <-> 96x96 crop: the one definition, used to draw training crops and on the device.

Coordinates. Frame and crop pixels have integer coordinates at pixel centres. Crop units run from (0, 0) to (1, 1)
between the crop's outer corners, so `pixel = unit * 96 - 0.5`. A box `(x, y, w, h)` covers pixels x .. x+w-1: its outer
left edge lies at x - 0.5.
"""

from __future__ import annotations

import cmath
import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.keypoints import Points, Schema

__all__ = [
    "CROP_SIZE",
    "HAAR_JITTER",
    "TRACK_JITTER",
    "Box",
    "Crop",
    "Jitter",
    "box_around",
    "crop_from_box",
    "crop_from_labels",
    "crop_from_track",
    "extract",
    "iou",
    "jittered",
    "tracked_crop",
]

CROP_SIZE = 96
EYES_AT = (0.50, 0.39)
"""Where the middle between the eye centres lies in a crop, in crop units (Haar's and Kaggle's framing)."""
EYE_DISTANCE = 0.371
"""Distance between the eye centres of a frontal face, in crop units."""
LIP_DROP = 0.42
"""Distance from the eyes' middle to the lower lip at most, in crop units: keeps the chin of turned heads inside."""

Box = tuple[float, float, float, float]
"""x, y, width, height in frame pixels."""


@dataclass(frozen=True, slots=True)
class Crop:
    """A square in a frame, possibly rotated: the similarity between crop units and frame pixels."""

    x: float
    """Frame x of the square's centre."""
    y: float
    """Frame y of the square's centre."""
    side: float
    """Length of a side, frame pixels."""
    roll: float = 0.0
    """Radians, clockwise on the screen: the direction of the crop's x axis in the frame."""

    def _axes(self) -> tuple[float, float]:
        return self.side * math.cos(self.roll), self.side * math.sin(self.roll)

    def to_frame(self, units: NDArray[np.floating]) -> Points:
        """Points (K, 2) in crop units as frame pixels (K, 2) float32."""
        turn = complex(*self._axes())
        corner = complex(self.x, self.y) - turn * (0.5 + 0.5j)
        return (_as_complex(units) * turn + corner).view(np.float64).astype(np.float32).reshape(-1, 2)

    def to_units(self, points: NDArray[np.floating]) -> Points:
        """Frame pixels (K, 2) as crop units (K, 2) float32."""
        a, b = self._axes()
        shifted = np.asarray(points, np.float64) - [self.x, self.y]
        inverse = np.array([[a, -b], [b, a]]) / (self.side * self.side)
        return np.asarray(shifted @ inverse + 0.5, np.float32)


@dataclass(frozen=True, slots=True)
class Jitter:
    """How far the crops met in use lie from the crop that they aim at."""

    shift: float
    """Standard deviation of the centre on each axis, in sides of the crop."""
    scale: float
    """Standard deviation of the natural logarithm of the side."""
    roll: float
    """Standard deviation of the rotation, degrees."""
    mean_drop: float = 0.0
    """Mean shift downwards, in sides of the crop."""
    mean_scale: float = 0.0
    """Mean of the natural logarithm of the side."""


# Measured by benchmarks/crop_jitter.py on val/; figures in benchmarks/results/crop_jitter.json.
HAAR_JITTER = Jitter(shift=0.035, scale=0.114, roll=0.0, mean_drop=-0.016, mean_scale=-0.144)
"""Haar's boxes against `crop_from_labels`."""
TRACK_JITTER = Jitter(shift=0.02, scale=0.03, roll=2.0)
"""The tracker's crops, which come from the frame before, against `crop_from_track` of the points now."""

MIN_TRACKED = 3
"""Labelled points from which a tracked crop can be made: of two, one point's error turns and scales the whole crop."""


def crop_from_box(box: Sequence[float]) -> Crop:
    """The upright square with the centre of `box` (x, y, w, h) and its longer side."""
    x, y, w, h = (float(v) for v in box)
    return Crop(x + w / 2 - 0.5, y + h / 2 - 0.5, max(w, h))


def crop_from_labels(points: NDArray[np.floating], schema: Schema) -> Crop:
    """The upright square that frames labelled `points` (K, 2) as Haar's boxes and Kaggle's crops frame a face."""
    left, right = (eye.astype(np.float64) for eye in schema.eye_centers(points))
    middle = (left + right) / 2
    drop = float(np.linalg.norm(points[schema.lower_lip] - middle))
    side = max(float(np.linalg.norm(left - right)) / EYE_DISTANCE, drop / LIP_DROP)
    x, y = (float(v) for v in middle)
    return Crop(x + (0.5 - EYES_AT[0]) * side, y + (0.5 - EYES_AT[1]) * side, side)


def crop_from_track(points: NDArray[np.floating], mean_shape: NDArray[np.floating]) -> Crop:
    """The square whose similarity best maps `mean_shape` (crop units) onto `points` (frame pixels), both (K, 2).

    Least squares over rotation, scale and shift (Umeyama, PAMI 1991, without reflection), so that the next crop is
    normalised in place, scale and roll.
    """
    weights, middle = _fit_to(np.asarray(mean_shape, np.float64).tobytes())
    target = _as_complex(points)  # a similarity is one complex multiplication
    turn = complex(np.dot(weights, target))
    centre = complex(target.sum()) / len(target) + turn * middle
    side = max(abs(turn), 1e-3)  # points that all coincide still give a crop, whose score is then low
    return Crop(centre.real, centre.imag, side, cmath.phase(turn))


@functools.cache
def _fit_to(mean_shape: bytes) -> tuple[NDArray[np.complex128], complex]:
    """What of the fit depends on the mean shape only: weights (K,) of the points, crop's middle from their mean."""
    shape = np.frombuffer(mean_shape, np.complex128)
    mean = complex(shape.mean())
    centred = shape - mean
    return centred.conj() / np.vdot(centred, centred).real, 0.5 + 0.5j - mean


def _as_complex(points: NDArray[np.floating]) -> NDArray[np.complex128]:
    """Points (K, 2) as x + iy, (K,)."""
    return np.ascontiguousarray(points, np.float64).view(np.complex128)[:, 0]


def extract(grey: NDArray[np.uint8], crop: Crop) -> NDArray[np.uint8]:
    """The pixels of `crop` in the picture `grey` (H, W): (96, 96) uint8. Outside the picture its border repeats.

    Large faces are first averaged down by a whole factor: bilinear sampling alone would skip pixels and turn fine
    texture into noise.
    """
    factor = max(1, int(crop.side / CROP_SIZE))
    origin_x = origin_y = 0
    if factor > 1:
        height, width = grey.shape
        half = crop.side * (abs(math.cos(crop.roll)) + abs(math.sin(crop.roll))) / 2 + 2 * factor
        left, right = _clip_span(crop.x - half, crop.x + half, width, factor)
        top, bottom = _clip_span(crop.y - half, crop.y + half, height, factor)
        origin_x, origin_y = left, top
        grey = grey[top:bottom, left:right]
        size = (max(1, grey.shape[1] // factor), max(1, grey.shape[0] // factor))
        grey = cv2.resize(grey[: size[1] * factor, : size[0] * factor], size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    # crop pixel p -> unit (p + 0.5) / 96 -> frame pixel f -> reduced pixel (f - origin + 0.5) / factor - 0.5
    step_x = crop.side * math.cos(crop.roll) / CROP_SIZE / factor
    step_y = crop.side * math.sin(crop.roll) / CROP_SIZE / factor
    centre_x = (crop.x - origin_x + 0.5) / factor - 0.5
    centre_y = (crop.y - origin_y + 0.5) / factor - 0.5
    middle = (CROP_SIZE - 1) / 2
    matrix = np.array(
        [
            [step_x, -step_y, centre_x - middle * (step_x - step_y)],
            [step_y, step_x, centre_y - middle * (step_y + step_x)],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(grey, matrix, (CROP_SIZE, CROP_SIZE), flags=flags, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[return-value]


def _clip_span(low: float, high: float, size: int, factor: int) -> tuple[int, int]:
    """The whole-pixel span [low, high] inside [0, size), never empty; far outside, the nearest border remains."""
    start = min(max(math.floor(low), 0), max(size - factor, 0))
    return start, max(min(math.ceil(high) + 1, size), min(start + factor, size))


def jittered(crop: Crop, jitter: Jitter, rng: np.random.Generator) -> Crop:
    """`crop` moved, scaled and rolled at random as `jitter` says."""
    dx, dy = (float(v) for v in rng.normal((0, jitter.mean_drop), jitter.shift) * crop.side)
    side = crop.side * math.exp(rng.normal(jitter.mean_scale, jitter.scale))
    return Crop(crop.x + dx, crop.y + dy, side, crop.roll + math.radians(rng.normal(0, jitter.roll)))


def tracked_crop(points: NDArray[np.floating], schema: Schema, rng: np.random.Generator, *, point_error: float) -> Crop:
    """A crop as the tracker would take it of a face whose true points are `points` (K, 2), NaN where not labelled.

    It comes from points with errors of `point_error` eye distances (standard deviation) and lags by `TRACK_JITTER`.
    Where points are not labelled it comes from the others; see `can_track`.
    """
    known = np.isfinite(points).all(1)
    mean = schema.mean_shape[known]
    left, right = schema.eye_centers(points)
    eyes = float(np.linalg.norm(left - right))
    if math.isnan(eyes):
        left, right = schema.eye_centers(schema.mean_shape)
        eyes = crop_from_track(points[known], mean).side * float(np.linalg.norm(left - right))
    seen = points + rng.normal(0, point_error * eyes, points.shape)
    return jittered(crop_from_track(seen[known], mean), TRACK_JITTER, rng)


def can_track(points: NDArray[np.floating]) -> bool:
    """Whether enough of the labelled `points` (K, 2) are known for `tracked_crop`."""
    return int(np.isfinite(points).all(1).sum()) >= MIN_TRACKED


def box_around(crop: Crop) -> Box:
    """The upright box (x, y, w, h) with the crop's centre and side: what is reported as a face's box."""
    return (crop.x + 0.5 - crop.side / 2, crop.y + 0.5 - crop.side / 2, crop.side, crop.side)


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes (x, y, w, h)."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / (a[2] * a[3] + b[2] * b[3] - width * height)
