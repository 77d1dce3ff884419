from __future__ import annotations

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import Crop
from fkp_edge.core.keypoints import IBUG68
from fkp_edge.data.chips import MAX_FACE, cut_chip


def dots(points: np.ndarray, size: int) -> np.ndarray:
    """A black picture with a light dot at each point."""
    picture = np.zeros((size, size), np.uint8)
    for x, y in points:
        cv2.circle(picture, (round(x * 16), round(y * 16)), 64, 255, -1, cv2.LINE_AA, 4)
    return picture


@pytest.mark.parametrize("side", [60.0, 400.0])
def test_points_lie_on_the_chip_where_they_lie_on_the_picture(side: float):
    points = Crop(400, 380, side).to_frame(IBUG68.mean_shape)
    chip = cut_chip(dots(points[[8, 36, 45]], 800), points)
    assert chip.to_picture(chip.points) == pytest.approx(points, abs=1e-3)
    for x, y in chip.points[[8, 36, 45]]:
        near = chip.picture[round(y) - 4 : round(y) + 5, round(x) - 4 : round(x) + 5].astype(float)
        middle = [(near.sum(axis) * np.arange(9)).sum() / near.sum() for axis in (0, 1)]
        assert np.array(middle) - 4 + np.round([x, y]) == pytest.approx([x, y], abs=0.6)


def test_a_large_face_is_reduced_and_has_a_margin():
    points = Crop(400, 380, 400).to_frame(IBUG68.mean_shape)
    chip = cut_chip(np.zeros((800, 800), np.uint8), points)
    assert np.ptp(chip.points, axis=0).max() == pytest.approx(MAX_FACE, rel=0.02)
    assert min(chip.picture.shape) > 2 * MAX_FACE


def test_a_face_at_the_border_is_cut_there():
    points = Crop(10, 10, 60).to_frame(IBUG68.mean_shape)
    chip = cut_chip(np.zeros((50, 200), np.uint8), points)
    assert chip.picture.shape[0] == 50
    assert chip.points == pytest.approx(points)


def test_a_face_outside_the_picture_gives_some_pixel():
    points = Crop(-500, -500, 60).to_frame(IBUG68.mean_shape)
    assert min(cut_chip(np.zeros((50, 50), np.uint8), points).picture.shape) >= 1
