"""The engine on arrays: the demo's known motion, and states that are hard to meet by chance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fkp_edge.core.geometry import crop_from_track
from fkp_edge.core.observation import Frame, Observation, State
from fkp_edge.core.settings import parse_settings
from fkp_edge.device.detection.haar import HaarDetector
from fkp_edge.device.detection.search import FakeSearch, InlineSearch
from fkp_edge.device.tracking.engine import Engine, EngineSettings
from fkp_edge.model.interpreter import KeypointModel

FRAME_NS = 33_333_333
HALF_A_SECOND = 15
"""Frames."""
SOON = 9
"""The same: 0.3 s after half of the face is back."""


@pytest.fixture(scope="module")
def played(
    model: KeypointModel, detector: HaarDetector, demo_frames: list[Frame]
) -> tuple[list[Observation], InlineSearch]:
    """What the engine sees in the whole demo."""
    search = InlineSearch(detector.detect)
    engine = Engine(model, search)
    return [engine.process(frame) for frame in demo_frames], search


def box_of(frame: Frame, model: KeypointModel) -> tuple[float, float, float, float]:
    crop = crop_from_track(frame.truth, model.mean_shape)
    return (crop.x - crop.side / 2, crop.y - crop.side / 2, crop.side, crop.side)


def grey(frame: Frame) -> Frame:
    """The same frame with nothing to see."""
    return replace(frame, grey=np.full_like(frame.grey, 128), truth=None)


def test_follows_every_move_of_the_demo(played, demo_frames: list[Frame]) -> None:
    observations, _ = played
    gone = next(frame.sequence for frame in demo_frames if frame.truth is None)
    assert [o.state for o in observations[:gone]].count(State.TRACKING) >= 0.98 * gone


def test_points_stay_on_the_known_motion(played, demo_frames: list[Frame], model: KeypointModel) -> None:
    whole = [f for f in demo_frames[:260] if f.truth is not None]
    errors = [np.linalg.norm(played[0][f.sequence].faces[0].points - f.truth, axis=1).mean() for f in whole]
    sides = [crop_from_track(f.truth, model.mean_shape).side for f in whole]
    assert max(e / s for e, s in zip(errors, sides, strict=True)) < 0.05  # of the crop's side; marks are by eye


def test_loses_the_face_within_half_a_second_of_its_exit(played, demo_frames: list[Frame]) -> None:
    gone = next(frame.sequence for frame in demo_frames if frame.truth is None)
    assert played[0][gone + HALF_A_SECOND].state is State.SEARCHING


def test_finds_the_face_within_a_third_of_a_second_of_its_return(played, demo_frames: list[Frame]) -> None:
    absent = [frame.sequence for frame in demo_frames if frame.truth is None]
    back = played[0][absent[-1] + SOON]
    assert back.state is State.TRACKING
    assert back.faces[0].id > played[0][0].faces[0].id


def test_sees_no_face_in_the_empty_part(played, demo_frames: list[Frame]) -> None:
    absent = [frame.sequence for frame in demo_frames if frame.truth is None]
    quiet = absent[HALF_A_SECOND:-2]
    assert {played[0][i].state for i in quiet} == {State.SEARCHING}


def test_searches_rarely_while_it_tracks(played, demo_frames: list[Frame]) -> None:
    assert played[1].count < 0.15 * len(demo_frames)


def test_does_not_search_again_within_the_interval(model: KeypointModel, demo_frames: list[Frame]) -> None:
    search = FakeSearch()
    engine = Engine(model, search, EngineSettings(search_every_s=0.1))
    for frame in demo_frames[:6]:  # 0 to 0.17 s
        engine.process(grey(frame))
    assert search.count == 2


def test_a_box_without_a_face_is_not_followed(model: KeypointModel, demo_frames: list[Frame]) -> None:
    engine = Engine(model, FakeSearch([[(10.0, 300.0, 120.0, 120.0)]]))
    assert engine.process(demo_frames[0]).state is State.SEARCHING


def test_a_search_still_running_is_no_answer(model: KeypointModel, demo_frames: list[Frame]) -> None:
    engine = Engine(model, FakeSearch([None, [box_of(demo_frames[1], model)]]))
    assert [engine.process(f).state for f in demo_frames[:2]] == [State.SEARCHING, State.TRACKING]


def test_holds_a_covered_face_with_its_last_points_and_keeps_its_id(
    model: KeypointModel, demo_frames: list[Frame]
) -> None:
    engine = Engine(model, FakeSearch([[box_of(demo_frames[0], model)]]))
    seen = engine.process(demo_frames[0])
    held = engine.process(grey(demo_frames[1]))
    again = engine.process(demo_frames[2])
    assert (held.state, again.state) == (State.HELD, State.TRACKING)
    assert [face.held for observation in (seen, held, again) for face in observation.faces] == [False, True, False]
    assert np.array_equal(held.faces[0].points, seen.faces[0].points)
    assert again.faces[0].id == seen.faces[0].id


def test_gives_up_a_face_that_stays_covered(model: KeypointModel, demo_frames: list[Frame]) -> None:
    engine = Engine(model, FakeSearch([[box_of(demo_frames[0], model)]]), EngineSettings(hold_s=0.1))
    engine.process(demo_frames[0])
    states = [engine.process(grey(frame)).state for frame in demo_frames[1:8]]
    assert states[0] is State.HELD
    assert states[-1] is State.SEARCHING


def test_counts_frames_that_nobody_processed(model: KeypointModel, demo_frames: list[Frame]) -> None:
    engine = Engine(model, FakeSearch())
    dropped = [engine.process(demo_frames[i]).dropped for i in (0, 1, 4, 5)]
    assert dropped == [0, 0, 2, 0]


def test_a_clock_that_jumps_back_does_not_stop_the_search(model: KeypointModel, demo_frames: list[Frame]) -> None:
    engine = Engine(model, FakeSearch([[], [box_of(demo_frames[1], model)]]))
    engine.process(replace(grey(demo_frames[0]), captured_ns=10**12))
    assert engine.process(demo_frames[1]).state is State.TRACKING


class WithoutScore:
    """A model whose network gives no score."""

    has_score = False

    def __init__(self, model: KeypointModel) -> None:
        self.schema = model.schema
        self.invoke = model.invoke
        self._decode = model.decode

    def decode(self, keypoints: np.ndarray, score: np.ndarray) -> tuple[np.ndarray, float]:
        return self._decode(keypoints, score)[0], 1.0


@pytest.mark.parametrize(("haar_agrees", "state"), [(True, State.TRACKING), (False, State.SEARCHING)])
def test_without_a_score_haar_verifies_once_a_second(
    model: KeypointModel, demo_frames: list[Frame], haar_agrees: bool, state: State
) -> None:
    box = box_of(demo_frames[0], model)
    search = FakeSearch([[box], [box] if haar_agrees else []])
    engine = Engine(WithoutScore(model), search, EngineSettings(verify_every_s=0.5))
    states = [engine.process(replace(demo_frames[0], captured_ns=i * FRAME_NS, sequence=i)).state for i in range(17)]
    assert states[:15] == [State.TRACKING] * 15
    assert states[16] is state


def test_without_a_score_a_track_that_drifted_goes_on_from_haars_box(
    model: KeypointModel, demo_frames: list[Frame]
) -> None:
    x, y, w, h = box_of(demo_frames[0], model)
    shrinking = WithoutScore(model)
    shrinking.decode = lambda *_: (0.5 + 0.96 * (model.mean_shape - 0.5), 1.0)  # whatever it sees, a little smaller
    engine = Engine(shrinking, FakeSearch([[(x, y, w, h)]] * 2), EngineSettings(verify_every_s=0.3))
    sides = [
        engine.process(replace(demo_frames[0], captured_ns=i * FRAME_NS, sequence=i)).faces[0].box[2] for i in range(11)
    ]
    assert sides[8] < 0.8 * sides[0]
    assert max(sides[9:]) > 0.9 * sides[0]


def test_a_network_that_gives_nan_sees_nothing(model: KeypointModel, demo_frames: list[Frame]) -> None:
    broken = WithoutScore(model)
    broken.has_score = True
    broken.decode = lambda keypoints, score: (np.full((15, 2), np.nan, np.float32), 0.99)
    engine = Engine(broken, FakeSearch([[box_of(demo_frames[0], model)]]))
    assert engine.process(demo_frames[0]).state is State.SEARCHING


def test_half_a_face_is_no_new_face(model: KeypointModel, demo_frames: list[Frame]) -> None:
    x, y, w, h = box_of(demo_frames[0], model)
    engine = Engine(model, FakeSearch([[(x - 0.4 * w, y, w, h)]]))
    observation = engine.process(demo_frames[0])
    on_it = observation.faces and np.abs(observation.faces[0].points - demo_frames[0].truth).max() < 0.1 * w
    assert observation.state is State.SEARCHING or on_it


def test_faces_of_eight_pixels_may_be_asked_for():
    assert parse_settings({"smallest_side": 8}, EngineSettings, "config.toml").smallest_side == 8
