"""What a data set holds: rows, spread, duplicates, suspicious labels, and sheets of its faces."""

from __future__ import annotations

import hashlib
from collections import defaultdict

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.drawing import draw_points, sheet
from fkp_edge.core.geometry import CROP_SIZE, crop_from_track
from fkp_edge.data.faceset import FaceSet

__all__ = ["Description", "PointCount", "Suspicion", "describe", "draw_overview", "draw_samples"]

ODD = 6.0
"""A point this many times as far from its place as is usual for it looks wrong."""
FLAT = 4.0
"""Standard deviation of the grey levels below which a picture shows nothing."""
FEWEST = 4
"""Labelled points that a face needs for its shape to be judged."""


class PointCount(msgspec.Struct, frozen=True, kw_only=True):
    """One keypoint over all rows."""

    name: str
    labelled: int
    missing_percent: float
    mean_px: tuple[float, float] | None
    """In the 96x96 crop, as the spread; None where no row has the point."""
    spread_px: tuple[float, float] | None
    """Standard deviation on each axis."""


class Suspicion(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to look at."""

    row: str
    """The face, as the file names it."""
    what: str


class Description(msgspec.Struct, frozen=True, kw_only=True):
    """A labelled file."""

    name: str
    rows: int
    picture_sizes: dict[str, int]
    """WIDTHxHEIGHT -> pictures."""
    grey_mean: float
    grey_spread: float
    """Standard deviation of all pixels of the crops."""
    complete_rows: int
    labelled_per_row: dict[str, int]
    """Number of labelled points -> rows."""
    points: tuple[PointCount, ...]
    duplicates: tuple[tuple[str, ...], ...]
    """Faces whose crops are the same, pixel by pixel."""
    suspicious: tuple[Suspicion, ...]
    """The oddest first."""


def describe(faces: FaceSet) -> Description:
    """Counts, missing values and spread of `faces`, duplicates among them, and labels that look wrong."""
    crops = faces.as_crops()
    pixels, points = np.stack(list(crops.images)), crops.points
    known = np.asarray(np.isfinite(points).all(2))
    sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in faces.images]
    return Description(
        name=faces.name,
        rows=len(faces),
        picture_sizes=_counts(sizes),
        grey_mean=float(pixels.mean()),
        grey_spread=float(pixels.std()),
        complete_rows=int(known.all(1).sum()),
        labelled_per_row=_counts([str(n) for n in sorted(known.sum(1).tolist(), reverse=True)]),
        points=tuple(_count(name, points[:, i]) for i, name in enumerate(faces.schema.names)),
        duplicates=_duplicates(pixels, faces.labels),
        suspicious=tuple(s for _, s in sorted(_suspicions(faces, pixels, points), key=lambda pair: -pair[0])),
    )


def _counts(values: list[str]) -> dict[str, int]:
    return {value: values.count(value) for value in dict.fromkeys(values)}


def _count(name: str, points: NDArray[np.float32]) -> PointCount:
    known = points[np.isfinite(points).all(1)].astype(np.float64)
    (x, y), (dx, dy) = (known.mean(0), known.std(0)) if len(known) else ((0.0, 0.0), (0.0, 0.0))
    return PointCount(
        name=name,
        labelled=len(known),
        missing_percent=100 * (1 - len(known) / len(points)),
        mean_px=(float(x), float(y)) if len(known) else None,
        spread_px=(float(dx), float(dy)) if len(known) else None,
    )


def _duplicates(pixels: NDArray[np.uint8], labels: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    same = defaultdict(list)
    for picture, label in zip(pixels, labels, strict=True):
        same[hashlib.sha256(picture.tobytes()).digest()].append(label)
    return tuple(tuple(group) for group in same.values() if len(group) > 1)


def _suspicions(
    faces: FaceSet, pixels: NDArray[np.uint8], points: NDArray[np.float32]
) -> list[tuple[float, Suspicion]]:
    """How odd, and what: flat pictures, points outside, eyes exchanged, and shapes unlike any other face's."""
    found = []
    left, right = (eye[:, 0] for eye in faces.schema.eye_centers(points))
    outside = (points < -0.5) | (points > CROP_SIZE - 0.5)
    residuals = _residuals(points)
    usual = np.maximum(np.array([_median(column) for column in residuals.T]), 0.25)
    for row, label in enumerate(faces.labels):
        if (spread := float(pixels[row].std())) < FLAT:
            found.append((1e6, Suspicion(row=label, what=f"the picture is flat: grey levels spread by {spread:.1f}")))
        if left[row] < right[row]:
            text = "the subject's left eye lies left of the right one in the picture: exchanged?"
            found.append((1e5, Suspicion(row=label, what=text)))
        for point, axis in np.argwhere(outside[row]):
            value = float(points[row, point, axis])
            text = (
                f"{faces.schema.names[point]}_{'xy'[axis]} = {value:.1f} is outside the picture, 0 to {CROP_SIZE - 1}"
            )
            found.append((1e4 + abs(value), Suspicion(row=label, what=text)))
        odd = np.nan_to_num(residuals[row] / usual)
        if odd[worst := int(odd.argmax())] > ODD:
            text = (
                f"{faces.schema.names[worst]} lies {residuals[row, worst]:.1f} px from where the face's other points "
                f"put it, usual are {usual[worst]:.1f}"
            )
            found.append((float(odd[worst]), Suspicion(row=label, what=text)))
    return found


def _residuals(points: NDArray[np.float32]) -> NDArray[np.float64]:
    """(N, K): distance of each point from the median shape, moved, scaled and turned onto the face; pixels."""
    median = np.array([[_median(points[:, k, axis]) for axis in (0, 1)] for k in range(points.shape[1])])
    shape = (median + 0.5) / CROP_SIZE
    out = np.full(points.shape[:2], np.nan)
    for row, face in enumerate(points):
        known = np.isfinite(face).all(1)
        if known.sum() >= FEWEST:
            crop = crop_from_track(face[known], shape[known])
            out[row, known] = np.linalg.norm(crop.to_frame(shape[known]) - face[known], axis=1)
    return out


def _median(values: NDArray[np.floating]) -> float:
    """The median of the labelled values; NaN where there are none."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


ZOOM = 6
SAMPLE_ZOOM = 2
GREEN = (80, 220, 80)
LIGHT, DARK, RED = (235, 235, 235), (60, 60, 60), (70, 70, 230)
LINE_PX = 30
TEXT = cv2.FONT_HERSHEY_SIMPLEX


def draw_overview(faces: FaceSet, description: Description) -> NDArray[np.uint8]:
    """The mean crop with an ellipse of two standard deviations a point, beside bars of how often each is there."""
    mean = np.asarray(np.mean(list(faces.as_crops().images), axis=0), np.uint8)
    size = (CROP_SIZE * ZOOM, CROP_SIZE * ZOOM)
    face = cv2.cvtColor(cv2.resize(mean, size, interpolation=cv2.INTER_CUBIC), cv2.COLOR_GRAY2BGR)
    for point in description.points:
        if point.mean_px is None or point.spread_px is None:
            continue
        x, y = (round((v + 0.5) * ZOOM) for v in point.mean_px)
        axes = tuple(round(2 * v * ZOOM) for v in point.spread_px)
        cv2.ellipse(face, (x, y), axes, 0, 0, 360, GREEN, 1, cv2.LINE_AA)
        cv2.circle(face, (x, y), 3, RED, -1, cv2.LINE_AA)
    return np.hstack([np.asarray(face, np.uint8), _bars(description)])


def _bars(description: Description) -> NDArray[np.uint8]:
    """One line a point: its name, a bar as long as the share of rows that have it, and their number."""
    height = CROP_SIZE * ZOOM
    step = min(LINE_PX, (height - 60) // len(description.points))
    canvas = np.full((height, 620, 3), 255, np.uint8)
    title = f"{description.name}: {description.rows} rows, {description.complete_rows} complete"
    cv2.putText(canvas, title, (12, 28), TEXT, 0.6, DARK, 1, cv2.LINE_AA)
    for number, point in enumerate(description.points):
        y = 60 + number * step
        cv2.putText(canvas, point.name, (12, y + 4), TEXT, min(0.45, step / 50), DARK, 1, cv2.LINE_AA)
        length = round(260 * point.labelled / description.rows)
        cv2.rectangle(canvas, (250, y - step // 3), (510, y + step // 3), LIGHT, -1)
        cv2.rectangle(canvas, (250, y - step // 3), (250 + length, y + step // 3), GREEN, -1)
        cv2.putText(canvas, str(point.labelled), (520, y + 4), TEXT, min(0.45, step / 50), DARK, 1, cv2.LINE_AA)
    return canvas


def draw_samples(faces: FaceSet, *, count: int, seed: int) -> NDArray[np.uint8]:
    """A sheet of `count` faces drawn at random, labelled points green."""
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(faces))[:count])
    crops = faces.as_crops()
    tiles = []
    for row in rows:
        tile = np.asarray(
            cv2.cvtColor(cv2.resize(crops.images[row], None, fx=SAMPLE_ZOOM, fy=SAMPLE_ZOOM), cv2.COLOR_GRAY2BGR)
        )
        draw_points(tile, (crops.points[row] + 0.5) * SAMPLE_ZOOM - 0.5, color=GREEN)
        tiles.append(np.asarray(tile, np.uint8))
    return sheet(tiles, columns=min(8, len(tiles)))
