"""What the engine keeps, replaces, looks at and forgets, with a network that sees what it is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fkp_edge.core.geometry import Crop, box_around
from fkp_edge.core.keypoints import FKP15
from fkp_edge.core.observation import Frame, Observation, State
from fkp_edge.device.detection.search import FakeSearch
from fkp_edge.device.tracking.engine import MAX_LOOKS, Engine, EngineSettings
from fkp_edge.device.tracking.smoothing import SmoothingSettings

ROOM = np.random.default_rng(0).integers(0, 256, (480, 640), np.uint8)
HERE, THERE = Crop(120, 240, 100), Crop(500, 240, 100)
AS_THEY_ARE = SmoothingSettings(enabled=False)


class Network:
    """Sees a face just where it looks, with the next of the given scores, then with the last; or moved by `shift`."""

    has_score = True
    schema = FKP15
    mean_shape = FKP15.mean_shape

    def __init__(self, *scores: float, shift: float = 0.0) -> None:
        self._scores = list(scores)
        self.shift = shift
        self.looks = 0

    def invoke(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return pixels, pixels

    def decode(self, *_: np.ndarray) -> tuple[np.ndarray, float]:
        self.looks += 1
        score = self._scores.pop(0) if len(self._scores) > 1 else self._scores[0]
        return np.add(FKP15.mean_shape, (self.shift, 0)), score


def at(seconds: float, grey: np.ndarray = ROOM) -> Frame:
    return Frame(grey, round(seconds * 1e9), round(seconds * 1000))


def engine(network: Network, *answers: list[Crop], quick: bool = False, **settings: float) -> Engine:
    return Engine(network, FakeSearch(list(answers), quick=quick), EngineSettings(**settings), AS_THEY_ARE)


def states(engine: Engine, *seconds: float) -> list[State]:
    return [engine.process(at(second)).state for second in seconds]


def middles(observation: Observation) -> list[float]:
    return [round(face.box[0] + face.box[2] / 2 - 0.5) for face in observation.faces]


@pytest.mark.parametrize(("score", "is_found"), [(0.85, False), (0.95, True)])
def test_what_is_proposed_counts_from_a_high_score_on(score: float, is_found: bool) -> None:
    assert states(engine(Network(score), [HERE]), 0.0) == [State.TRACKING if is_found else State.SEARCHING]


@pytest.mark.parametrize(("score", "is_kept"), [(0.45, False), (0.55, True)])
def test_what_is_followed_counts_from_a_lower_one_on(score: float, is_kept: bool) -> None:
    seen = states(engine(Network(0.95, score), [HERE]), 0.0, 0.03)
    assert seen == [State.TRACKING, State.TRACKING if is_kept else State.HELD]


def test_a_face_that_is_not_seen_is_held_for_its_time_and_then_lost() -> None:
    following = engine(Network(0.95, 0.1), [HERE], hold_s=0.5)
    assert states(following, 0.0, 0.1, 0.45, 0.5) == [State.TRACKING, State.HELD, State.HELD, State.HELD]
    assert states(following, 0.51) == [State.SEARCHING]


def test_a_face_that_is_seen_again_is_held_anew() -> None:
    following = engine(Network(0.95, 0.1, 0.9, 0.1), [HERE], hold_s=0.5)
    assert states(following, 0.0, 0.4, 0.45, 0.9) == [State.TRACKING, State.HELD, State.TRACKING, State.HELD]


def test_a_clock_that_went_back_holds_a_face_no_longer() -> None:
    following = engine(Network(0.95, 0.1), [HERE], hold_s=0.5)
    assert states(following, 1000.0, 0.0, 0.4, 0.6) == [State.TRACKING, State.HELD, State.HELD, State.SEARCHING]


def test_a_face_that_is_there_takes_the_place_of_one_that_was() -> None:
    following = engine(Network(0.95, 0.1, 0.95), [HERE], [THERE], hold_s=10)
    first, second = following.process(at(0.0)), following.process(at(0.2))
    assert (middles(first), [face.id for face in first.faces]) == ([120], [1])
    assert (middles(second), [face.id for face in second.faces]) == ([500], [2])


def test_of_two_that_were_there_the_one_unseen_for_longer_gives_way() -> None:
    third = Crop(320, 100, 90)
    network = Network(0.95, 0.95, *(0.95, 0.1), *(0.1, 0.1, 0.95))
    following = engine(network, [HERE, THERE], [], [third], max_faces=2, hold_s=10)
    seen = [following.process(at(second)) for second in (0.0, 0.1, 0.2)]
    assert [middles(observation) for observation in seen] == [[120, 500], [120, 500], [320, 120]]
    assert [[face.held for face in observation.faces] for observation in seen[1:]] == [[False, True]] * 2


def test_no_more_faces_are_followed_than_may_be() -> None:
    three = [HERE, THERE, Crop(320, 100, 90)]
    assert [len(engine(Network(0.95), three, max_faces=n).process(at(0.0)).faces) for n in (1, 2, 3)] == [1, 2, 3]


def test_points_that_do_not_settle_are_looked_at_a_few_times_only() -> None:
    network = Network(0.95, shift=0.5)
    assert states(engine(network, [HERE]), 0.0) == [State.SEARCHING]
    assert 2 < network.looks < 7


def test_a_frame_bounds_its_looks_and_the_next_goes_on() -> None:
    network = Network(0.5)
    searching = engine(network, [Crop(40.0 + 60 * i, 200, 50) for i in range(10)])
    states(searching, 0.0)
    assert network.looks == MAX_LOOKS
    states(searching, 0.03)
    assert network.looks == 10


def test_while_a_face_is_followed_a_frame_takes_one_look_more() -> None:
    network = Network(0.95, 0.95, 0.5)
    following = engine(network, [HERE], [Crop(300.0 + 60 * i, 100, 50) for i in range(5)], max_faces=2)
    states(following, 0.0, 1.1, 1.2)
    assert network.looks == 1 + 2 + 2


def test_a_proposal_on_a_face_that_is_followed_is_not_looked_at() -> None:
    network = Network(0.95)
    following = engine(network, [HERE], [Crop(125, 240, 100)], max_faces=2)
    seen = states(following, 0.0, 1.1)
    assert (seen, network.looks) == ([State.TRACKING] * 2, 2)


@pytest.mark.parametrize("place", [Crop(120, 240, 20), Crop(-5, 240, 100), Crop(120, 481, 100), Crop(320, 240, 1300)])
def test_a_crop_too_small_too_large_or_outside_is_no_face(place: Crop) -> None:
    assert states(engine(Network(0.95), [place]), 0.0) == [State.SEARCHING]


@pytest.mark.parametrize("place", [Crop(120, 240, 26), Crop(1, 240, 100), Crop(120, 478, 100), Crop(320, 240, 1250)])
def test_a_crop_just_within_is_one(place: Crop) -> None:
    assert states(engine(Network(0.95), [place]), 0.0) == [State.TRACKING]


def test_frames_of_another_size_begin_anew() -> None:
    following = engine(Network(0.95), [HERE])
    assert states(following, 0.0, 0.03) == [State.TRACKING] * 2
    assert following.process(at(0.06, ROOM[:400])).state is State.SEARCHING


@pytest.mark.parametrize(
    ("scores", "quick", "max_faces", "every_s"),
    [([0.1], False, 1, 0.1), ([0.1], True, 1, 0.0), ([0.95], False, 2, 1.0), ([0.95], True, 2, 0.15)],
    ids=["searching", "searching, quick", "following", "following, quick"],
)
def test_how_often_is_searched(scores: list[float], quick: bool, max_faces: int, every_s: float) -> None:
    following = engine(Network(*scores), [HERE], quick=quick, max_faces=max_faces)
    for i in range(100):
        following.process(at(0.021 * i))
    expected = 100 if not every_s else 1 + 99 // -(-every_s // 0.021)
    assert following._search.count == pytest.approx(expected, abs=2)


def test_looks_are_learnt_where_several_may_be_followed_and_none_is_near() -> None:
    alone, near = Crop(120, 240, 60), Crop(185, 240, 60)
    one, several = engine(Network(0.95), [alone]), engine(Network(0.95), [alone], [near], max_faces=2)
    one.process(at(0.0))
    several.process(at(0.0))
    assert one._tracks[0].appearance is None
    known = several._tracks[0].appearance
    assert known is not None
    for second in (1.1, 1.2, 1.3):
        several.process(at(second, 255 - ROOM))
    assert len(several._tracks) == 2
    before = several._tracks[0].appearance.copy()
    several.process(at(1.4))
    assert np.array_equal(several._tracks[0].appearance, before)


def test_the_best_proposal_is_noted_with_its_size() -> None:
    searching = engine(Network(0.3, 0.6, 0.4), [HERE, Crop(500, 240, 70), Crop(320, 100, 90)])
    assert searching.best_proposal is None
    searching.process(at(0.0))
    assert searching.best_proposal == (0.6, 70)


def test_a_face_is_reported_where_it_is_and_goes_on_from_there() -> None:
    network = Network(0.95)
    following = engine(network, [HERE])
    (face,) = following.process(at(0.0)).faces
    assert face.box == pytest.approx(box_around(HERE), abs=0.1)
    assert face.points == pytest.approx(HERE.to_frame(FKP15.mean_shape), abs=0.1)
    network.shift = 0.05
    (moved,) = following.process(at(0.1)).faces
    assert (moved.id, moved.box[0]) == (face.id, pytest.approx(face.box[0] + 5, abs=0.2))


def test_what_is_dropped_is_counted_from_the_frame_before() -> None:
    following = engine(Network(0.1))
    assert [following.process(replace(at(0.0), sequence=n)).dropped for n in (3, 4, 9, 2, 3)] == [3, 0, 4, 0, 0]
