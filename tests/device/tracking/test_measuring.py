"""Measures and positions of the faces that the engine follows."""

from __future__ import annotations

import pytest

from fkp_edge.core.keypoints import IBUG68
from fkp_edge.core.measures import FaceMeasures
from fkp_edge.core.observation import Face, Frame
from fkp_edge.core.settings import parse_settings
from fkp_edge.device.detection.search import FakeSearch
from fkp_edge.device.tracking.engine import Engine, EngineSettings
from fkp_edge.device.tracking.pose import MeasureSettings
from fkp_edge.errors import InputError
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model


@pytest.fixture(scope="module")
def model68() -> KeypointModel:
    return open_model(shipped_model("keypoints68-int8"))


def box(frame: Frame) -> tuple[float, float, float, float]:
    left, right = frame.truth[0], frame.truth[1]
    side = 2.6 * float(left[0] - right[0])
    x, y = (left + right) / 2
    return (x - side / 2, y - 0.39 * side, side, side)


def follow(model: KeypointModel, frames: list[Frame], settings: MeasureSettings | None) -> list[Face]:
    """The face in each frame."""
    engine = Engine(model, FakeSearch([[box(frames[0])]]), EngineSettings(), measures=settings)
    return [engine.process(frame).faces[0] for frame in frames]


ON = MeasureSettings(enabled=True)


@pytest.mark.parametrize("settings", [None, MeasureSettings()])
def test_nothing_is_measured_unless_asked(
    model: KeypointModel, demo_frames: list[Frame], settings: MeasureSettings | None
) -> None:
    face = follow(model, demo_frames[:1], settings)[0]
    assert (face.measures, face.position) == (None, None)


def test_a_smiling_portrait_is_measured_on_68_points(model68: KeypointModel, demo_frames: list[Frame]) -> None:
    measures = follow(model68, demo_frames[:30], ON)[-1].measures
    assert measures.smile > 0.5
    assert 0.7 < measures.eye_open_left < 1.3
    assert 0.7 < measures.eye_open_right < 1.3
    assert measures.blinks == 0


def test_fifteen_points_have_no_eyelids(model: KeypointModel, demo_frames: list[Frame]) -> None:
    measures = follow(model, demo_frames[:1], ON)[0].measures
    assert (measures.eye_open_left, measures.blinks) == (None, None)
    assert measures.brow_raise_left == pytest.approx(1, abs=0.2)


def test_a_face_that_moves_right_has_a_larger_x(model: KeypointModel, demo_frames: list[Frame]) -> None:
    faces = follow(model, demo_frames[:90], ON)
    shift = faces[-1].points[:, 0].mean() - faces[0].points[:, 0].mean()
    assert abs(shift) > 10
    assert (faces[-1].position.x - faces[0].position.x) * shift > 0


def test_the_field_of_view_and_the_pupils_scale_the_place(model: KeypointModel, demo_frames: list[Frame]) -> None:
    place = {
        (cm, degrees): follow(
            model, demo_frames[:1], MeasureSettings(enabled=True, pupils_cm=cm, field_of_view=degrees)
        )[0].position
        for cm, degrees in ((6.3, 62.0), (5.0, 62.0), (6.3, 90.0))
    }
    assert place[5.0, 62.0].z == pytest.approx(place[6.3, 62.0].z * 5 / 6.3)
    assert place[6.3, 90.0].z == pytest.approx(place[6.3, 62.0].z * 0.6009, rel=1e-3)


def test_what_the_camera_says_counts_where_nobody_says_more() -> None:
    assert ON.of_camera(102.0).field_of_view == 102.0
    assert ON.of_camera(None).field_of_view == "auto"
    assert MeasureSettings(field_of_view=50.0).of_camera(102.0).field_of_view == 50.0


def test_a_face_that_is_found_again_is_another_persons_until_learnt(
    model68: KeypointModel, demo_frames: list[Frame]
) -> None:
    """Each new face begins anew: what was usual for the one before does not count."""
    engine = Engine(model68, FakeSearch([[box(demo_frames[0])]] * 3), measures=ON)
    gone = Frame(demo_frames[0].grey[:, :60].copy(), 10**9, 1)
    first = engine.process(demo_frames[0]).faces[0]
    engine.process(gone)  # other pixels: all tracks are forgotten
    second = engine.process(Frame(demo_frames[0].grey, 2 * 10**9, 2)).faces[0]
    assert second.id != first.id
    assert second.measures == first.measures == FaceMeasures(IBUG68).update(first.points, first.pose, 0)


@pytest.mark.parametrize("degrees", [10, 170])
def test_the_narrowest_and_the_widest_lens_may_be_set(degrees: int) -> None:
    assert parse_settings({"field_of_view": degrees}, MeasureSettings, "config.toml").field_of_view == degrees


@pytest.mark.parametrize("degrees", [9, 171])
def test_no_lens_is_narrower_or_wider(degrees: int) -> None:
    with pytest.raises(InputError, match="field_of_view"):
        parse_settings({"field_of_view": degrees}, MeasureSettings, "config.toml")
