from __future__ import annotations

import numpy as np

from fkp_edge.core.drawing import draw_face, draw_points, sheet
from fkp_edge.core.geometry import Crop
from fkp_edge.core.keypoints import FKP15

RED = (0, 0, 255)


def black(height: int = 60, width: int = 80) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


def face(side: float = 50) -> np.ndarray:
    return Crop(40, 30, side).to_frame(FKP15.mean_shape)


def test_draw_points_draws_in_place_and_only_near_the_points():
    picture = black()
    draw_points(picture, np.array([[20, 30]]), color=RED, radius=3)
    y, x = np.nonzero(picture.any(-1))
    assert picture[30, 20].tolist() == list(RED)
    assert (np.hypot(x - 20, y - 30) < 5).all()


def test_draw_points_keeps_fractions_of_a_pixel():
    picture = black()
    draw_points(picture, np.array([[20.5, 30.25]]), color=RED, radius=4)
    weight = picture[..., 2] / picture[..., 2].sum(dtype=float)
    y, x = np.indices(weight.shape)
    np.testing.assert_allclose([(x * weight).sum(), (y * weight).sum()], [20.5, 30.25], atol=0.15)


def test_draw_points_skips_points_that_are_not_labelled():
    picture = black()
    draw_points(picture, np.array([[np.nan, 30], [np.nan, np.nan]]), color=RED)
    assert not picture.any()


def test_draw_points_outside_the_picture_draws_nothing():
    picture = black()
    draw_points(picture, np.array([[-50, 30], [1000, 1000]]), color=RED)
    assert not picture.any()


def test_draw_face_marks_every_point():
    picture = black()
    draw_face(picture, face(), FKP15)
    assert all(picture[round(float(y)), round(float(x)), 2] > 150 for x, y in face())


def test_draw_face_joins_the_points_with_edges():
    picture = black()
    draw_face(picture, face(), FKP15)
    x, y = face()[[11, 13]].mean(0)
    assert picture[round(float(y)), round(float(x)), 1] > 100


def test_draw_face_draws_the_box_where_one_is_given():
    plain, boxed = black(), black()
    draw_face(plain, face(), FKP15)
    draw_face(boxed, face(), FKP15, box=(5, 6, 70, 48))
    assert not plain[6, 5:75].any()
    assert boxed[6, 5:75].any(-1).all()
    assert boxed[54, 5:75].any(-1).all()


def test_draw_face_draws_large_faces_thicker():
    small, large = black(600, 600), black(600, 600)
    draw_points(small, np.array([[300, 300]]), color=RED)
    draw_face(large, Crop(300, 300, 500).to_frame(FKP15.mean_shape), FKP15)
    nose = slice(290, 360), slice(280, 320)
    assert np.count_nonzero(large[nose][..., 2]) > 4 * np.count_nonzero(small[..., 2])


def test_sheet_fills_the_last_row_with_black():
    tiles = [np.full((2, 3, 3), value, np.uint8) for value in (10, 20, 30)]
    joined = sheet(tiles, columns=2)
    assert joined.shape == (4, 6, 3)
    assert joined[::2, ::3, 0].tolist() == [[10, 20], [30, 0]]


def test_sheet_of_one_full_row():
    tiles = [np.full((2, 3, 3), value, np.uint8) for value in (10, 20)]
    assert sheet(tiles, columns=2).shape == (2, 6, 3)


def test_draw_face_writes_a_label_as_large_as_the_face():
    small, large = (np.zeros((700, 700, 3), np.uint8) for _ in range(2))
    marked = []
    for picture, side in ((small, 120), (large, 480)):
        points = Crop(350, 400, side).to_frame(FKP15.mean_shape)
        plain, box = picture.copy(), (350 - side / 2, 400 - side / 2, side, side)
        draw_face(plain, points, FKP15, box=box)
        draw_face(picture, points, FKP15, box=box, label="1: 0.98")
        marked.append(int((picture != plain).any(2).sum()))
    assert 0 < 2 * marked[0] < marked[1]


def test_a_label_stays_in_the_picture():
    picture = np.zeros((100, 100, 3), np.uint8)
    draw_face(picture, face(), FKP15, box=(0, 0, 99, 99), label="1: 0.98")
    plain = np.zeros((100, 100, 3), np.uint8)
    draw_face(plain, face(), FKP15, box=(0, 0, 99, 99))
    assert (picture[:40] != plain[:40]).any()
