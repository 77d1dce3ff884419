from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from fkp_edge.core.keypoints import FKP15, IBUG68, Points, Schema, from_ibug68
from fkp_edge.core.measures import MAX_YAW, FaceMeasures, Measures
from fkp_edge.errors import InputError

AHEAD = (0.0, 0.0, 0.0)
FRAME_NS = 33_333_333
LIDS = ((37, 41), (38, 40), (43, 47), (44, 46))


def face(*, eyes: float = 1.0, mouth: float = 0.0, brows: float = 0.0, corners: float = 0.0) -> Points:
    """68 points of a face 200 pixels wide: lids `eyes` times as far apart, inner lips `mouth` apart, brows raised."""
    points = IBUG68.mean_shape * 200.0
    for upper, lower in LIDS:
        middle = (points[upper] + points[lower]) / 2
        points[upper], points[lower] = (
            middle + eyes * (points[upper] - middle),
            middle + eyes * (points[lower] - middle),
        )
    points[62], points[66] = points[62], points[62] + (0, mouth)
    points[57, 1] += mouth
    points[17:27, 1] -= brows
    points[[48, 54], 1] -= corners
    points[48, 0] -= corners
    points[54, 0] += corners
    return points.astype(np.float32)


def turned(points: Points, degrees: float, scale: float = 1.0) -> Points:
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return (scale * points @ turn + 300).astype(np.float32)


def film(openness: Iterator[float] | list[float], measures: FaceMeasures) -> list[Measures]:
    return [measures.update(face(eyes=eyes), AHEAD, frame * FRAME_NS) for frame, eyes in enumerate(openness)]


def test_open_eyes_are_one_and_shut_eyes_are_nought():
    measures = FaceMeasures(IBUG68)
    assert film([1.0] * 60, measures)[-1].eye_open_left == pytest.approx(1, abs=0.05)
    assert measures.update(face(eyes=0), AHEAD, 61 * FRAME_NS).eye_open_right == pytest.approx(0, abs=0.05)


def test_narrow_eyes_become_usual_within_seconds():
    narrow = film([0.4] * 90, FaceMeasures(IBUG68))
    assert narrow[-1].eye_open_left == pytest.approx(1, abs=0.1)


def test_a_sleepers_eyes_stay_shut():
    asleep = film([1.0] * 90 + [0.1] * 900, FaceMeasures(IBUG68))
    assert asleep[-1].eye_open_left < 0.2


@pytest.mark.parametrize(("frames", "counted"), [(1, 1), (5, 1), (12, 1), (30, 0)])
def test_blinks_are_counted_and_closed_eyes_are_not(frames: int, counted: int):
    assert film([1.0] * 60 + [0.1] * frames + [1.0] * 10, FaceMeasures(IBUG68))[-1].blinks == counted


def test_a_shallow_dip_that_is_clear_of_the_noise_is_a_blink():
    """Networks report eyes that are shut for a moment as three quarters open."""
    noise = np.random.default_rng(2).normal(0, 0.015, 200)
    openness = 1 + noise - np.where((np.arange(200) >= 100) & (np.arange(200) < 104), 0.2, 0.0)
    assert film(list(openness), FaceMeasures(IBUG68))[-1].blinks == 1


def test_a_dip_within_the_noise_is_none():
    noise = np.random.default_rng(2).normal(0, 0.08, 200)
    openness = 1 + noise - np.where((np.arange(200) >= 100) & (np.arange(200) < 104), 0.1, 0.0)
    assert film(list(openness), FaceMeasures(IBUG68))[-1].blinks == 0


def test_eyes_that_narrow_slowly_do_not_blink():
    slowly = [*[1.0] * 60, *np.linspace(1, 0.6, 60), *np.linspace(0.6, 1, 60), *[1.0] * 30]
    assert film(slowly, FaceMeasures(IBUG68))[-1].blinks == 0


def test_what_happened_while_the_face_was_turned_away_is_no_blink():
    measures = FaceMeasures(IBUG68)
    film([1.0] * 60, measures)
    measures.update(face(eyes=0.2), AHEAD, 60 * FRAME_NS)
    measures.update(face(), (MAX_YAW + 10, 0.0, 0.0), 63 * FRAME_NS)
    assert measures.update(face(), AHEAD, 66 * FRAME_NS).blinks == 0


def test_a_blink_has_its_times():
    found = film([1.0] * 60 + [0.0] * 5 + [1.0] * 5, FaceMeasures(IBUG68))
    assert [measures.blink for measures in found[:65]] == [None] * 65
    assert found[-1].blink == (60 * FRAME_NS, 65 * FRAME_NS)
    assert found[-1].blink.duration_s == pytest.approx(5 / 30)


def test_noise_makes_no_blink():
    noise = np.random.default_rng(1).normal(1, 0.12, 1800)
    assert film(list(noise), FaceMeasures(IBUG68))[-1].blinks == 0


@pytest.mark.parametrize("degrees", [0, 30, -60])
@pytest.mark.parametrize("scale", [0.5, 2])
def test_neither_roll_nor_size_changes_a_measure(degrees: float, scale: float):
    expressive = face(mouth=20, brows=5, corners=6)
    plain, moved = (
        FaceMeasures(IBUG68).update(points, AHEAD, 0) for points in (expressive, turned(expressive, degrees, scale))
    )
    assert moved == pytest.approx(plain, abs=1e-3)


def test_mouth_smile_and_brows_follow_the_points():
    measures = FaceMeasures(IBUG68)
    for frame in range(60):
        rest = measures.update(face(), AHEAD, frame * FRAME_NS)
    moved = measures.update(face(mouth=25, brows=8, corners=10), AHEAD, 60 * FRAME_NS)
    assert rest.mouth_open < 0.01 < 0.3 < moved.mouth_open
    assert moved.mouth_wide > rest.mouth_wide
    assert moved.smile > rest.smile + 0.3
    assert moved.brow_raise_left > 1.2 > rest.brow_raise_left
    assert rest.brow_raise_right == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("mouth", [0, 20, 60])
def test_fifteen_points_give_what_they_allow(mouth: float):
    points = face(mouth=mouth)
    found = FaceMeasures(FKP15).update(from_ibug68(points, FKP15), AHEAD, 0)
    assert {name for name in Measures._fields if getattr(found, name) is None} == {
        "eye_open_left",
        "eye_open_right",
        "mouth_wide",
        "smile",
        "blinks",
        "blink",
    }
    assert found.mouth_open == pytest.approx(FaceMeasures(IBUG68).update(points, AHEAD, 0).mouth_open, abs=0.1)


@pytest.mark.parametrize("pose", [None, (MAX_YAW + 1, 0.0, 0.0), (-MAX_YAW - 1, 0.0, 0.0)])
def test_what_the_pose_does_not_show_is_not_guessed(pose: tuple[float, float, float] | None):
    assert FaceMeasures(IBUG68).update(face(), pose, 0) == Measures(blinks=0)


def test_points_in_one_spot_measure_nothing():
    assert FaceMeasures(IBUG68).update(np.zeros((68, 2), np.float32), AHEAD, 0) == Measures(blinks=0)


def test_a_clock_that_goes_back_is_survived():
    measures = FaceMeasures(IBUG68)
    film([1.0] * 60, measures)
    assert measures.update(face(), AHEAD, 0).eye_open_left == pytest.approx(1, abs=0.05)


def test_another_schema_is_refused():
    other = Schema("other5", ("a",), (0,), (), (0,), (0,), (0, 0), 0, np.zeros((1, 2), np.float32))
    with pytest.raises(InputError, match="other5"):
        FaceMeasures(other)
