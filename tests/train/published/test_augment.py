from __future__ import annotations

import numpy as np
import pytest

from fkp_edge.core.keypoints import FKP15
from fkp_edge.data import FaceSet
from fkp_edge.train.published.fit import augmented, brightened, moved
from fkp_edge.train.published.recipe import Augment


def spot(x: int, y: int) -> np.ndarray:
    pixels = np.zeros((96, 96), np.uint8)
    pixels[y, x] = 255
    return pixels


@pytest.mark.parametrize(("shift", "roll"), [((5, -3), 0.0), ((0, 0), 90.0), ((4, 7), -30.0)])
def test_points_move_with_the_pixels(shift: tuple[float, float], roll: float):
    units = np.full((15, 2), (np.array([30, 60]) + 0.5) / 96, np.float32)
    pixels, out = moved(spot(30, 60), units, np.array(shift, float), roll)
    rows, columns = np.nonzero(pixels)
    weights = pixels[rows, columns].astype(float)
    middle = np.average(np.stack([columns, rows], 1), axis=0, weights=weights)
    np.testing.assert_allclose(out[0] * 96 - 0.5, middle, atol=0.1)


def test_a_turn_is_clockwise_on_the_screen():
    units = np.array([[1.0, 0.5]], np.float32)  # right of the middle
    np.testing.assert_allclose(moved(spot(0, 0), units, np.zeros(2), 90.0)[1], [[0.5, 1.0]], atol=1e-6)  # below it


def test_brightness_is_clipped():
    out = brightened(np.array([[10, 100, 200]], np.uint8), 1.5)
    assert out.tolist() == [[15, 150, 255]]


def test_a_mirrored_face_exchanges_left_and_right(faces: FaceSet):
    units = (faces.points[0] + 0.5) / 96
    pixels, out = augmented(faces.images[0], units, FKP15, np.random.default_rng(0), Augment(flip_share=1.0))
    np.testing.assert_array_equal(pixels, faces.images[0][:, ::-1])
    left, right = FKP15.names.index("left_eye_outer_corner"), FKP15.names.index("right_eye_outer_corner")
    np.testing.assert_allclose(out[left], [1 - units[right, 0], units[right, 1]], atol=1e-6)


def test_nothing_changes_where_the_recipe_asks_for_nothing(faces: FaceSet):
    face = faces.images[0], faces.points[0]
    assert augmented(*face, FKP15, np.random.default_rng(0), Augment()) == face


def test_missing_points_stay_missing(faces: FaceSet):
    config = Augment(shift_px=3, roll_deg=10, flip_share=1.0)
    out = augmented(faces.images[1], faces.points[1] / 96, FKP15, np.random.default_rng(0), config)[1]
    assert np.isfinite(out).all(1).sum() == 4
