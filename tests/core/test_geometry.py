from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import (
    CROP_SIZE,
    HAAR_JITTER,
    TRACK_JITTER,
    Crop,
    box_around,
    crop_from_box,
    crop_from_labels,
    crop_from_track,
    extract,
    iou,
    jittered,
)
from fkp_edge.core.keypoints import FKP15, IBUG68, Schema

UNIT_CORNERS = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)


def random_crops(count: int, seed: int = 0) -> list[Crop]:
    """Crops of 10 to 900 pixels, every roll."""
    rng = np.random.default_rng(seed)
    return [
        Crop(*rng.uniform(-300, 1500, 2).tolist(), math.exp(rng.uniform(2.3, 6.8)), rng.uniform(-math.pi, math.pi))
        for _ in range(count)
    ]


def blob(at: tuple[float, float], sigma: float, shape: tuple[int, int] = (640, 720)) -> np.ndarray:
    """A bright Gaussian spot at frame pixel `at` on black."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    return np.round(255 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * sigma**2))).astype(np.uint8)


def centroid(picture: np.ndarray) -> np.ndarray:
    """The centre of gravity (x, y) of the grey levels."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    weight = picture / picture.sum(dtype=float)
    return np.array([(x * weight).sum(), (y * weight).sum()])


# boxes


def test_crop_from_box_covers_the_boxs_pixels():
    np.testing.assert_allclose(crop_from_box((10, 20, 50, 50)).to_frame(UNIT_CORNERS[:1]), [[9.5, 19.5]])
    np.testing.assert_allclose(crop_from_box((10, 20, 50, 50)).to_frame(UNIT_CORNERS[2:3]), [[59.5, 69.5]])


def test_crop_from_box_keeps_the_centre_and_takes_the_longer_side():
    assert crop_from_box((10, 20, 40, 60)) == Crop(29.5, 49.5, 60)


def test_the_crop_of_a_96_pixel_box_is_its_pixels():
    picture = np.random.default_rng(0).integers(0, 256, (200, 300), np.uint8)
    np.testing.assert_array_equal(extract(picture, crop_from_box((31, 47, 96, 96))), picture[47:143, 31:127])


def test_box_around_is_the_inverse_of_crop_from_box():
    assert box_around(crop_from_box((10.25, -20.5, 50, 50))) == (10.25, -20.5, 50, 50)


# units and frame pixels


def test_units_and_frame_pixels_round_trip():
    units = np.random.default_rng(1).uniform(-0.5, 1.5, (15, 2)).astype(np.float32)
    for crop in random_crops(200):
        np.testing.assert_allclose(crop.to_units(crop.to_frame(units)), units, atol=2e-4)


def test_to_frame_gives_float32_pixels():
    assert Crop(5, 5, 10).to_frame([[0.5, 0.5]]).dtype == np.float32
    assert Crop(5, 5, 10).to_units([[0.5, 0.5]]).dtype == np.float32


def test_roll_turns_the_crops_x_axis_clockwise_on_the_screen():
    corners = Crop(100, 100, 20, math.pi / 2).to_frame(UNIT_CORNERS)
    np.testing.assert_allclose(corners, [[110, 90], [110, 110], [90, 110], [90, 90]], atol=1e-4)


# extract


@pytest.mark.parametrize("roll_deg", [0, 13, -37, 90, 171])
@pytest.mark.parametrize("side", [60, 96, 131, 191, 193, 288, 333, 400])
def test_extract_puts_a_spot_where_to_units_says(side: float, roll_deg: float):
    at = (341.3, 297.8)
    crop = Crop(at[0] + 0.11 * side, at[1] - 0.07 * side, side, math.radians(roll_deg))
    pixels = extract(blob(at, 4 * side / CROP_SIZE), crop)
    expected = crop.to_units(np.array([at]))[0] * CROP_SIZE - 0.5
    np.testing.assert_allclose(centroid(pixels), expected, atol=0.05)


@pytest.mark.parametrize("side", [60, 150, 200, 400])
@pytest.mark.parametrize("border", [(-1, 0), (1, 0), (0, -1), (0, 1)], ids=["left", "right", "top", "bottom"])
def test_extract_puts_a_spot_right_where_the_crop_leaves_the_picture(border: tuple[int, int], side: float):
    height, width = 643, 719  # no multiples of what a large crop averages over
    middle, inset = np.array([width, height]) / 2, 0.143 * side
    at = middle + border * (middle - inset) + 0.3
    crop = Crop(*(at + 0.3 * side * np.array(border)), side, 0.2)
    pixels = extract(blob(at, 2.5 * side / CROP_SIZE, (height, width)), crop)
    expected = crop.to_units(at[None])[0] * CROP_SIZE - 0.5
    np.testing.assert_allclose(centroid(pixels), expected, atol=0.05)


@pytest.mark.parametrize("side", [150, 200, 290, 400])
@pytest.mark.parametrize("roll", [0, 0.3])
def test_extract_is_right_up_to_the_crops_edge(side: float, roll: float):
    def wave(x: np.ndarray) -> np.ndarray:
        return 127.5 + 120 * np.sin(x * math.tau / 0.4 / side)

    crop = Crop(310.3, 320.6, side, roll)
    pixels = extract(np.tile(np.round(wave(np.arange(640))), (640, 1)).astype(np.uint8), crop)
    y, x = np.mgrid[:CROP_SIZE, :CROP_SIZE]
    units = (np.stack([x.ravel(), y.ravel()], 1) + 0.5) / CROP_SIZE
    np.testing.assert_allclose(pixels.ravel(), wave(crop.to_frame(units)[:, 0]), atol=4)


def test_extract_averages_texture_of_large_faces():
    checkers = (np.indices((600, 600)).sum(0) % 2 * 255).astype(np.uint8)
    pixels = extract(checkers, Crop(300, 300, 4 * CROP_SIZE))
    np.testing.assert_allclose(pixels, 127.5, atol=1)


def test_extract_repeats_the_border_outside_the_picture():
    picture = np.full((50, 50), 40, np.uint8)
    picture[:, -1] = 200
    assert (extract(picture, Crop(500, 25, 60)) == 200).all()


@pytest.mark.parametrize("side", [1e-3, 0.5, 5.0, 97.0, 2_000.0, 1e5])
@pytest.mark.parametrize("at", [(0, 0), (-1e4, 30), (1e5, 1e5), (30, -250), (63, 47)])
@pytest.mark.parametrize("shape", [(48, 64), (1, 1), (3, 500)])
def test_extract_takes_any_crop_of_any_picture(shape: tuple[int, int], at: tuple[float, float], side: float):
    pixels = extract(np.full(shape, 77, np.uint8), Crop(*at, side, 0.7))
    assert pixels.shape == (CROP_SIZE, CROP_SIZE)
    assert pixels.dtype == np.uint8
    assert (pixels == 77).all()


def test_extract_agrees_with_opencv_on_an_unrotated_enlargement():
    picture = cv2.GaussianBlur(np.random.default_rng(0).integers(0, 256, (80, 80), np.uint8), (0, 0), 2)
    enlarged = cv2.resize(picture[10:58, 20:68], (96, 96), interpolation=cv2.INTER_LINEAR)
    inner = (slice(2, -2), slice(2, -2))  # resize stops at the cut's border, extract sees beyond it
    pixels = extract(picture, crop_from_box((20, 10, 48, 48)))
    assert np.abs(pixels[inner].astype(int) - enlarged[inner]).max() <= 2


def test_extract_does_not_write_to_the_picture():
    picture = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
    before = picture.copy()
    extract(picture, Crop(150, 150, 250, 0.1))
    np.testing.assert_array_equal(picture, before)


def test_extract_reads_views_of_larger_pictures():
    picture = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
    view = picture[10:200, 20:250]
    crop = Crop(100, 90, 120, 0.3)
    np.testing.assert_array_equal(extract(view, crop), extract(view.copy(), crop))


# labels


def labelled_face(**moved: tuple[float, float]) -> np.ndarray:
    """Eyes 37.1 apart at y 39, the lower lip 40 below: the face of a 100-pixel crop at the origin."""
    points = np.zeros((15, 2), np.float32)
    places = {"left_eye_center": (68.55, 39), "right_eye_center": (31.45, 39), "mouth_center_bottom_lip": (50, 79)}
    for name, place in (places | moved).items():
        points[FKP15.names.index(name)] = place
    return points


def test_crop_from_labels_puts_the_eyes_as_kaggle_does():
    units = crop_from_labels(labelled_face(), FKP15).to_units(labelled_face()[:2])
    np.testing.assert_allclose(units, [[0.6855, 0.39], [0.3145, 0.39]], atol=1e-5)


def test_crop_from_labels_scales_with_the_eye_distance():
    assert crop_from_labels(labelled_face(), FKP15).side == pytest.approx(100, rel=1e-5)


def test_crop_from_labels_keeps_the_lip_of_a_turned_head_inside():
    face = labelled_face(left_eye_center=(52, 39), right_eye_center=(48, 39))
    crop = crop_from_labels(face, FKP15)
    assert crop.side == pytest.approx(40 / 0.42, rel=1e-5)
    assert crop.to_units(face[[14]])[0, 1] == pytest.approx(0.39 + 0.42, abs=1e-5)


def test_crop_from_labels_is_upright():
    assert crop_from_labels(Crop(0, 0, 90, 0.4).to_frame(FKP15.mean_shape), FKP15).roll == 0


# tracking


@pytest.mark.parametrize("schema", [FKP15, IBUG68], ids=["fkp15", "ibug68"])
def test_crop_from_track_recovers_any_similarity(schema: Schema):
    for crop in random_crops(100, seed=3):
        found = crop_from_track(crop.to_frame(schema.mean_shape), schema.mean_shape)
        assert (found.x, found.y) == pytest.approx((crop.x, crop.y), abs=2e-3)
        assert found.side == pytest.approx(crop.side, rel=1e-5)
        assert math.remainder(found.roll - crop.roll, math.tau) == pytest.approx(0, abs=1e-4)


@pytest.mark.parametrize("schema", [FKP15, IBUG68], ids=["fkp15", "ibug68"])
def test_both_crops_frame_the_mean_face_alike(schema: Schema):
    face = Crop(200, 150, 120).to_frame(schema.mean_shape)
    tracked, labelled = crop_from_track(face, schema.mean_shape), crop_from_labels(face, schema)
    assert (labelled.x, labelled.y) == pytest.approx((tracked.x, tracked.y), abs=0.01 * tracked.side)
    assert labelled.side == pytest.approx(tracked.side, rel=0.03)


def test_crop_from_track_is_the_best_of_its_neighbours():
    rng = np.random.default_rng(0)
    points = Crop(100, 100, 80, 0.3).to_frame(FKP15.mean_shape) + rng.normal(0, 3, (15, 2))

    def error(crop: Crop) -> float:
        return float(((crop.to_frame(FKP15.mean_shape) - points) ** 2).sum())

    best = crop_from_track(points, FKP15.mean_shape)
    moves = [(0.5, 0, 0, 0), (0, 0.5, 0, 0), (0, 0, 0.5, 0), (0, 0, 0, 0.01)]
    for dx, dy, wider, turn in [*moves, *(tuple(-v for v in move) for move in moves)]:
        assert error(best) < error(Crop(best.x + dx, best.y + dy, best.side + wider, best.roll + turn))


def test_crop_from_track_of_points_that_coincide_can_be_extracted():
    crop = crop_from_track(np.full((15, 2), 30.0), FKP15.mean_shape)
    assert (extract(np.full((60, 60), 9, np.uint8), crop) == 9).all()


# jitter


@pytest.mark.parametrize("jitter", [HAAR_JITTER, TRACK_JITTER], ids=["haar", "track"])
def test_jittered_follows_the_seed(jitter):
    crop = Crop(100, 100, 80)
    first, again, other = (jittered(crop, jitter, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert first == again
    assert first != other


@pytest.mark.parametrize("jitter", [HAAR_JITTER, TRACK_JITTER], ids=["haar", "track"])
def test_jittered_has_the_stated_spread(jitter):
    rng = np.random.default_rng(0)
    crops = [jittered(Crop(0, 0, 100), jitter, rng) for _ in range(4000)]
    x, y, side, roll = np.array([(c.x / 100, c.y / 100, math.log(c.side / 100), math.degrees(c.roll)) for c in crops]).T
    np.testing.assert_allclose([x.mean(), y.mean()], [0, jitter.mean_drop], atol=0.003)
    np.testing.assert_allclose([x.std(), y.std()], jitter.shift, rtol=0.06)
    assert (side.mean(), side.std()) == pytest.approx((jitter.mean_scale, jitter.scale), abs=0.008)
    assert roll.std() == pytest.approx(jitter.roll, rel=0.06)


# overlap


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        ((0, 0, 10, 10), 1),
        ((5, 0, 10, 10), 1 / 3),
        ((2, 2, 5, 5), 0.25),
        ((-10, -10, 40, 40), 1 / 16),
        ((10, 0, 10, 10), 0),
        ((20, 20, 10, 10), 0),
        ((5, 5, 0, 0), 0),
    ],
    ids=["same", "shifted", "inside", "around", "touching", "apart", "empty"],
)
def test_iou(other: tuple[float, ...], expected: float):
    assert iou((0, 0, 10, 10), other) == pytest.approx(expected)
    assert iou(other, (0, 0, 10, 10)) == pytest.approx(expected)
