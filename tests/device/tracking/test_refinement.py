"""When a crop and the points found in it agree, and what is seen of a crop."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fkp_edge.core.geometry import Crop
from fkp_edge.core.keypoints import FKP15
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.tracker import agree, predict_crop, refine_crop

HERE = Crop(200, 100, 80)
GREY = np.zeros((240, 320), np.uint8)


class Network:
    """Sees the face in its n-th look where `crops` says, with a score of 0.97; notes what it looks at."""

    schema = FKP15

    def __init__(self, *crops: Crop) -> None:
        self._crops = list(crops)
        self.looked_at: list[np.ndarray] = []
        self.crop = HERE

    def invoke(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.looked_at.append(pixels)
        return pixels, pixels

    def decode(self, *_: np.ndarray) -> tuple[np.ndarray, float]:
        seen = self._crops.pop(0)
        units = self.crop.to_units(seen.to_frame(FKP15.mean_shape))
        self.crop = seen
        return units, 0.97


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (HERE, True),
        (Crop(206, 100, 80), True),
        (Crop(194, 100, 80), True),
        (Crop(200, 106, 80), True),
        (Crop(207, 100, 80), False),
        (Crop(193, 100, 80), False),
        (Crop(200, 107, 80), False),
        (Crop(205, 105, 80), False),  # along both axes together
        (Crop(200, 100, 90), True),
        (Crop(200, 100, 71), True),
        (Crop(200, 100, 95), False),
        (Crop(200, 100, 67), False),
        (Crop(200, 100, 80, math.radians(7)), True),
        (Crop(200, 100, 80, math.radians(-7)), True),
        (Crop(200, 100, 80, math.radians(9)), False),
        (Crop(200, 100, 80, math.radians(-9)), False),
    ],
)
def test_crops_that_show_a_face_alike(other: Crop, same: bool) -> None:
    assert agree(HERE, other) is same


@pytest.mark.parametrize(("degrees", "same"), [(-178, True), (-170, False), (182, True), (538, True)])
def test_a_turn_is_counted_around_the_circle(degrees: float, same: bool) -> None:
    assert agree(Crop(200, 100, 80, math.radians(178)), Crop(200, 100, 80, math.radians(degrees))) is same


def test_a_large_face_may_be_further_off() -> None:
    assert agree(Crop(200, 100, 400), Crop(225, 100, 400))


def test_what_is_seen_is_told_in_the_frames_pixels_with_the_next_crop() -> None:
    seen = Crop(210, 95, 90, 0.1)
    prediction = predict_crop(Network(seen), GREY, HERE, StageTimes())
    assert prediction.points == pytest.approx(seen.to_frame(FKP15.mean_shape), abs=0.01)
    assert (prediction.crop.x, prediction.crop.y) == pytest.approx((210, 95), abs=0.01)
    assert (prediction.crop.side, prediction.crop.roll) == pytest.approx((90, 0.1), abs=0.01)
    assert prediction.score == 0.97
    assert prediction.pixels.shape == (96, 96)


def test_each_look_notes_what_its_stages_took() -> None:
    times = StageTimes()
    predict_crop(Network(HERE), GREY, HERE, times)
    assert all(len(times.newest_ns(stage)) == 1 for stage in ("crop", "infer", "decode"))


def test_numbers_that_are_none_are_no_face_at_the_place_that_was_looked_at() -> None:
    prediction = predict_crop(Network(Crop(math.nan, 0, math.nan)), GREY, HERE, StageTimes())
    assert (prediction.score, prediction.crop) == (0.0, HERE)
    assert np.isfinite(prediction.points).all()


def test_looks_go_on_where_the_points_lead_until_they_agree() -> None:
    network = Network(Crop(240, 100, 80), Crop(242, 100, 80), HERE)
    found = refine_crop(network, GREY, HERE, StageTimes())
    assert found is not None
    assert found.crop.x == pytest.approx(242, abs=0.01)
    assert len(network.looked_at) == 2


def test_points_that_lead_on_and_on_are_no_face() -> None:
    network = Network(*(Crop(200 + 20 * i, 100, 80) for i in range(1, 10)))
    assert refine_crop(network, GREY, HERE, StageTimes()) is None
    assert 2 < len(network.looked_at) < 7
