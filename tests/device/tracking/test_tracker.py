"""One track alone: where it is expected, and which of two that see one face it belongs to."""

from __future__ import annotations

import numpy as np
import pytest

from fkp_edge.core.geometry import Crop
from fkp_edge.core.observation import Face
from fkp_edge.device.tracking.tracker import Prediction, Track, is_near, is_on, occluded_tracks

SECOND_NS = 1_000_000_000
NOISE = np.random.default_rng(1).integers(0, 256, (2, 96, 96), np.uint8)


def prediction(x: float, pixels: np.ndarray = NOISE[0], *, y: float = 100) -> Prediction:
    return Prediction(np.zeros((15, 2), np.float32), 0.99, Crop(x, y, 80), pixels)


def track(number: int, x: float, pixels: np.ndarray = NOISE[0]) -> Track:
    seen = prediction(x, pixels)
    made = Track(number, seen, Face(number, 0.99, (x, 100, 80, 80), seen.points), 0, 0)
    made.remember(seen)
    return made


def test_a_face_goes_on_as_it_went() -> None:
    moving = track(1, 100)
    moving.move(prediction(120), SECOND_NS, near_other=False)
    assert moving.predicted_crop(2 * SECOND_NS).x == pytest.approx(130)  # half of 20 px/s: the first second counts half


def test_a_face_that_is_hidden_before_it_moved_is_looked_for_where_it_was() -> None:
    new = track(1, 100)
    new.occluded = True
    assert new.predicted_crop(SECOND_NS) == Crop(100, 100, 80)


def test_a_face_that_goes_up_is_looked_for_above() -> None:
    moving = track(1, 100)
    moving.move(prediction(100, y=80), SECOND_NS, near_other=False)
    assert moving.predicted_crop(2 * SECOND_NS) == Crop(100, 70, 80)


def test_a_fast_face_is_looked_for_on_its_way() -> None:
    fast = track(1, 100)
    fast.move(prediction(400, y=500), SECOND_NS, near_other=False)
    expected = fast.predicted_crop(2 * SECOND_NS)
    assert (expected.x, expected.y) == pytest.approx((400 + 0.6 * 20, 500 + 0.8 * 20))  # a quarter of 80, along 3 : 4


def test_no_time_has_passed_so_it_is_where_it_was() -> None:
    moving = track(1, 100)
    moving.move(prediction(120), SECOND_NS, near_other=False)
    assert moving.predicted_crop(SECOND_NS).x == 120


def test_two_looks_at_one_moment_say_nothing_of_its_speed() -> None:
    still = track(1, 100)
    still.move(prediction(120), 0, near_other=False)
    assert still.predicted_crop(SECOND_NS).x == 120


def test_what_is_found_at_its_place_is_the_face_itself() -> None:
    assert track(1, 100).may_be(prediction(105), SECOND_NS)


def test_what_is_found_elsewhere_is_another_face() -> None:
    assert not track(1, 100).may_be(prediction(400), SECOND_NS)


def test_a_face_without_remembered_looks_is_like_nothing() -> None:
    new = track(1, 100)
    new.appearance = None
    assert new.similarity(prediction(100)) == 0


def test_of_two_tracks_on_one_face_the_one_that_looks_otherwise_is_hidden() -> None:
    mine, other = track(1, 100, NOISE[0]), track(2, 105, NOISE[1])
    seen = [(mine, prediction(100, NOISE[0])), (other, prediction(101, NOISE[0]))]
    assert occluded_tracks(seen, SECOND_NS) == {2}
    assert occluded_tracks(seen[::-1], SECOND_NS) == {2}


def test_where_looks_are_alike_the_one_that_had_to_jump_is_hidden() -> None:
    near, far = track(1, 100), track(2, 160)
    seen = [(near, prediction(100)), (far, prediction(101))]
    assert occluded_tracks(seen, SECOND_NS) == {2}
    assert occluded_tracks(seen[::-1], SECOND_NS) == {2}


def test_who_was_hidden_stays_so() -> None:
    front, behind = track(1, 160), track(2, 100)
    behind.occluded = True
    assert occluded_tracks([(front, prediction(100)), (behind, prediction(101))], SECOND_NS) == {2}
    assert occluded_tracks([(behind, prediction(101)), (front, prediction(100))], SECOND_NS) == {2}


def test_two_faces_side_by_side_are_two() -> None:
    assert occluded_tracks([(track(1, 100), prediction(100)), (track(2, 300), prediction(300))], SECOND_NS) == set()


def gone_behind(x: float, pixels: np.ndarray = NOISE[0]) -> Track:
    """A face that went at 20 px a second, came near another, jumped there, and is not seen any more."""
    lost = track(1, x - 40, pixels)
    for second in (1, 2, 3):
        lost.move(prediction(x - 40 + 20 * second, pixels), second * SECOND_NS, near_other=False)
    lost.move(prediction(x + 60, pixels), 4 * SECOND_NS, near_other=True)
    lost.seen, lost.occluded = False, True
    return lost


def test_a_fast_face_is_looked_for_no_further_than_the_network_reaches() -> None:
    fast = track(1, 100)
    fast.move(prediction(500), SECOND_NS, near_other=False)
    assert fast.predicted_crop(2 * SECOND_NS).x == pytest.approx(500 + 0.25 * 80)


def test_behind_another_face_it_goes_on_as_it_went_before() -> None:
    assert gone_behind(100).predicted_crop(5 * SECOND_NS).x == pytest.approx(160 + 17.5)  # not by the jump's 40 px
    assert gone_behind(100).predicted_crop(60 * SECOND_NS).x == pytest.approx(
        160 + 2 * 80
    )  # and no further than two sides


@pytest.mark.parametrize(
    ("x", "pixels", "same"),
    [(260, NOISE[0], True), (260, NOISE[1], False), (420, NOISE[0], False)],
    ids=["alike and near", "another's looks", "too far"],
)
def test_who_comes_out_from_behind_another_is_known_by_looks(x: float, pixels: np.ndarray, same: bool) -> None:
    assert gone_behind(100).may_be(prediction(x, pixels), 5 * SECOND_NS) is same


def test_who_was_not_behind_another_is_not_known_by_looks() -> None:
    lost = gone_behind(100)
    lost.occluded = False
    assert not lost.may_be(prediction(260), 5 * SECOND_NS)


def test_a_face_found_again_stands_still_until_it_moves() -> None:
    found = gone_behind(100)
    found.reacquire(prediction(300), 5 * SECOND_NS)
    assert (found.seen, found.occluded) == (True, False)
    assert found.predicted_crop(6 * SECOND_NS) == Crop(300, 100, 80)
    found.seen, found.occluded = False, True
    assert found.predicted_crop(6 * SECOND_NS) == Crop(300, 100, 80)


def test_looks_change_slowly_and_light_does_not_matter() -> None:
    known = track(1, 100)
    known.remember(prediction(100, NOISE[1]))
    assert known.similarity(prediction(100, NOISE[0])) > 0.85 > 0.3 > known.similarity(prediction(100, NOISE[1]))
    assert known.similarity(prediction(100, NOISE[0] // 2 + 40)) > 0.85
    for _ in range(50):
        known.remember(prediction(100, NOISE[1]))
    assert known.similarity(prediction(100, NOISE[1])) == pytest.approx(1, abs=0.02)


def test_a_size_that_changed_counts_as_distance() -> None:
    known = track(1, 100)
    larger = prediction(100)._replace(crop=Crop(100, 100, 160))
    assert known.away(larger, SECOND_NS) == pytest.approx(np.log(2))
    assert known.away(prediction(180), SECOND_NS) == pytest.approx(1)


@pytest.mark.parametrize(("x", "on", "near"), [(110, True, True), (170, False, True), (230, False, False)])
def test_on_a_face_near_it_and_clear_of_it(x: float, on: bool, near: bool) -> None:
    others = [track(1, 100)]
    assert (is_on(prediction(x).crop, others), is_near(prediction(x).crop, others)) == (on, near)
