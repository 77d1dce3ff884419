"""The finder's letterbox and maps: what is drawn in a frame comes back as the crop that was meant."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fkp_edge.core.geometry import Crop
from fkp_edge.model.finder_maps import INPUT_SIZE, LEVELS, decode_maps, letterbox

Maps = list[tuple[np.ndarray, np.ndarray]]


def empty_maps() -> Maps:
    return [(np.full(level.shape, -9.0), np.zeros((*level.shape, 5))) for level in LEVELS]


def put(maps: Maps, crop: Crop, *, level: int = 0, logit: float = 3.0) -> None:
    """Has the cell that holds the middle of `crop` say so."""
    heat, shape = maps[level]
    stride = LEVELS[level].stride
    column, row = int((crop.x + 0.5) // stride), int((crop.y + 0.5) // stride)
    heat[row, column] = logit
    dx, dy = (crop.x + 0.5) / stride - column - 0.5, (crop.y + 0.5) / stride - row - 0.5
    shape[row, column] = (dx, dy, math.log(crop.side / LEVELS[level].side), math.sin(crop.roll), math.cos(crop.roll))


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (160, 160), (33, 500), (1, 1), (97, 31)])
def test_a_frame_of_any_size_fits_and_its_middle_comes_back(size: tuple[int, int]) -> None:
    frame = np.zeros((size[1], size[0]), np.uint8)
    pixels, place = letterbox(frame)
    assert pixels.shape == (INPUT_SIZE[1], INPUT_SIZE[0])
    middle = place.to_frame(Crop((INPUT_SIZE[0] - 1) / 2, (INPUT_SIZE[1] - 1) / 2, 10))
    assert (middle.x, middle.y) == pytest.approx(((size[0] - 1) / 2, (size[1] - 1) / 2), abs=1 / place.scale)


def test_the_border_is_repeated_around_a_frame() -> None:
    frame = np.full((160, 160), 200, np.uint8)
    assert (letterbox(frame)[0] == 200).all()


def test_a_crop_of_the_input_is_one_of_the_frame() -> None:
    _, place = letterbox(np.zeros((480, 640), np.uint8))
    crop = place.to_frame(Crop(79.5, 63.5, 20, 0.3))
    assert (crop.x, crop.y, crop.side, crop.roll) == pytest.approx((319.5, 239.5, 80, 0.3))


@pytest.mark.parametrize(("level", "crop"), [(0, Crop(37.2, 90.1, 12, -0.9)), (1, Crop(100, 51, 90, 0.4))])
def test_what_a_cell_says_is_decoded(level: int, crop: Crop) -> None:
    maps = empty_maps()
    put(maps, crop, level=level)
    (found,) = decode_maps(maps, most=5)
    assert (found.crop.x, found.crop.y, found.crop.side, found.crop.roll) == pytest.approx(
        (crop.x, crop.y, crop.side, crop.roll)
    )
    assert found.score == pytest.approx(1 / (1 + math.exp(-3)))


def test_one_face_on_both_maps_is_one_proposal() -> None:
    maps = empty_maps()
    put(maps, Crop(60, 60, 34), level=0, logit=1.0)
    put(maps, Crop(61, 59, 32), level=1, logit=2.0)
    assert [p.score for p in decode_maps(maps, most=5)] == pytest.approx([1 / (1 + math.exp(-2))])


def test_the_best_come_first_and_no_more_than_asked() -> None:
    maps = empty_maps()
    for number in range(6):
        put(maps, Crop(12.0 + 24 * number, 60, 12), logit=float(number))
    found = decode_maps(maps, most=4)
    assert [round(p.crop.x) for p in found] == [132, 108, 84, 60]


def test_maps_without_a_face_propose_nothing() -> None:
    assert decode_maps(empty_maps(), most=5) == []
