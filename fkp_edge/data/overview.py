"""Pictures of a labelled file: the mean face with the spread of each point, how often each is labelled, and samples."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.drawing import draw_points, sheet
from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.data.description import Description
from fkp_edge.data.faceset import FaceSet

__all__ = ["draw_overview", "draw_samples"]

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
