"""In which order the network looks where a face may be."""

from __future__ import annotations

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import Crop, crop_from_track
from fkp_edge.core.keypoints import FKP15
from fkp_edge.core.observation import Frame, State
from fkp_edge.device.detection.proposals import MAX_LOOKED_AT, Proposals
from fkp_edge.device.detection.search import FakeSearch
from fkp_edge.device.tracking.engine import MAX_LOOKS, Engine, EngineSettings
from fkp_edge.model.interpreter import KeypointModel

FRAME_NS = 33_333_333
CLUTTER = 23


RNG = np.random.default_rng(0)
ROOM = cv2.resize(RNG.integers(0, 256, (140, 160), np.uint8), (1280, 1120))
OTHER_ROOM = cv2.resize(RNG.integers(0, 256, (140, 160), np.uint8), (1280, 1120))


def places(count: int) -> list[Crop]:
    return [Crop(20 + 50.0 * (i % 25), 40 + 50.0 * (i // 25), 40) for i in range(count)]


def looked_at(proposals: Proposals, crops: list[Crop], at_s: float = 0.0, room: np.ndarray = ROOM) -> list[Crop]:
    """Where somebody looks who finds no face anywhere."""
    at_ns = round(at_s * 1e9)
    proposals.take(crops, room, at_ns)
    seen = []
    while candidate := proposals.next():
        proposals.no_face(candidate, at_ns)
        seen.append(candidate.place)
    return seen


def test_all_proposals_of_a_search_are_looked_at_in_its_order() -> None:
    assert looked_at(Proposals(), places(12)) == places(12)


def test_places_without_a_face_have_their_turns_and_come_last() -> None:
    proposals, crops = Proposals(), places(10)
    looked_at(proposals, crops)
    new = Crop(25, 140, 40)
    first = looked_at(proposals, [*crops, new], 1.0, OTHER_ROOM)
    second = looked_at(proposals, crops, 2.0)
    assert first[0] == new
    assert len(first) == 1 + MAX_LOOKED_AT
    assert {crop.x for crop in first[1:] + second} == {crop.x for crop in crops}


def test_a_place_is_known_again_though_the_picture_trembles_but_not_at_another_tilt() -> None:
    proposals = Proposals()
    looked_at(proposals, places(1))
    proposals.take([Crop(21, 40.5, 41), Crop(21, 40.5, 41, math.radians(30))], ROOM, 1_000_000)
    assert proposals.next().place.roll > 0
    assert proposals.next() is None


def test_what_is_proposed_in_every_frame_is_looked_at_less_and_less_often() -> None:
    proposals = Proposals()
    looks = [at for at in range(300) if looked_at(proposals, places(1), at / 30, noisy(ROOM))]
    assert looks[:3] == [0, 3, 9]
    assert len(looks) <= 7


def test_a_refused_place_is_looked_at_again_soon_where_its_picture_changed() -> None:
    proposals = Proposals()
    for at in range(105):
        looked_at(proposals, places(2), at / 30, noisy(ROOM))
    changed = ROOM.copy()
    changed[:, :45] = OTHER_ROOM[:, :45]
    again = [crop for at in range(105, 117) for crop in looked_at(proposals, places(2), at / 30, noisy(changed))]
    assert places(1)[0] in again
    assert places(2)[1] not in again


def test_what_was_refused_is_known_again_where_the_picture_moved_on() -> None:
    proposals = Proposals()
    looks = 0
    for at in range(60):
        shift = 4 * at
        crop = Crop(600.0 - shift, 100, 40)
        looks += len(looked_at(proposals, [crop], at / 30, noisy(np.roll(ROOM, -shift, axis=1))))
    assert 1 <= looks <= 6


def noisy(room: np.ndarray) -> np.ndarray:
    return np.clip(room + RNG.normal(0, 2.0, room.shape), 0, 255).astype(np.uint8)


@pytest.mark.parametrize("start_s", [0.0, 1e6])
def test_a_place_is_remembered_for_ten_seconds(start_s: float) -> None:
    proposals, crops = Proposals(), places(20)
    looked_at(proposals, crops, start_s)
    assert looked_at(proposals, crops, start_s) == []  # at the same moment, too
    assert len(looked_at(proposals, crops, start_s + 9)) == MAX_LOOKED_AT
    assert len(looked_at(proposals, crops, start_s + 25)) == 20


def test_after_a_clock_that_went_back_no_place_is_known() -> None:
    proposals = Proposals()
    looked_at(proposals, places(20), 100)
    assert looked_at(proposals, places(20), 5) == places(20)


def test_hundreds_of_proposals_cost_a_bounded_number_of_looks() -> None:
    assert 40 < len(looked_at(Proposals(), places(500))) < 100


def test_only_the_newest_places_are_remembered() -> None:
    hall = cv2.resize(RNG.integers(0, 256, (80, 160), np.uint8), (1280, 640))
    proposals, crops = Proposals(), [Crop(20 + 50.0 * (i % 24), 40 + 60.0 * (i // 24), 40) for i in range(180)]
    for start in (0, 60, 120):
        looked_at(proposals, crops[start : start + 60], start / 1000, hall)
    assert len(looked_at(proposals, crops[:60], 1.0, hall)) == 60
    assert len(looked_at(proposals, crops[165:], 1.1, hall)) == MAX_LOOKED_AT


def test_what_is_dropped_is_not_looked_at() -> None:
    proposals = Proposals()
    proposals.take(places(3), ROOM, 0)
    proposals.drop()
    assert (len(proposals), proposals.next()) == (0, None)


def test_one_that_is_put_back_is_the_next() -> None:
    proposals = Proposals()
    proposals.take(places(3), ROOM, 0)
    first = proposals.next()
    proposals.put_back(first)
    assert (len(proposals), proposals.next()) == (3, first)


@pytest.mark.parametrize(("degrees", "known"), [(-179, True), (541, True), (-160, False), (0, False)])
def test_a_place_turned_around_the_circle_is_the_same(degrees: float, known: bool) -> None:
    proposals = Proposals()
    looked_at(proposals, [Crop(50, 40, 40, math.radians(179))])
    assert (looked_at(proposals, [Crop(50, 40, 40, math.radians(degrees))], 0.01) == []) is known


@pytest.mark.parametrize(
    ("other", "known"),
    [
        (Crop(57, 40, 40), True),
        (Crop(43, 40, 40), True),
        (Crop(59, 40, 40), False),
        (Crop(50, 47, 40), True),
        (Crop(50, 49, 40), False),
        (Crop(50, 40, 48), True),
        (Crop(50, 40, 52), False),
        (Crop(50, 40, 34), True),
        (Crop(50, 40, 30), False),
    ],
)
def test_proposals_that_are_one_place(other: Crop, known: bool) -> None:
    proposals = Proposals()
    looked_at(proposals, [Crop(50, 40, 40)])
    assert (looked_at(proposals, [other], 0.01) == []) is known


def test_another_picture_has_no_known_places() -> None:
    proposals = Proposals()
    looked_at(proposals, places(20))
    proposals.forget()
    assert looked_at(proposals, places(20)) == places(20)


@pytest.fixture(scope="module")
def tilted(demo_frames: list[Frame], model: KeypointModel) -> tuple[Frame, Crop]:
    """A face tilted by 30 degrees, and its crop."""
    frame = demo_frames[0]
    height, width = frame.grey.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -30, 1.0)
    grey = cv2.warpAffine(frame.grey, matrix, (width, height), borderValue=160)
    points = (frame.truth @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
    return replace(frame, grey=grey), crop_from_track(points, FKP15.mean_shape)


def clutter(count: int) -> list[tuple[float, float, float, float]]:
    """Boxes without a face along the frame's upper and lower border."""
    return [(10.0 + 50 * (i % 12), 5.0 + 420 * (i // 12), 45.0, 45.0) for i in range(count)]


@pytest.mark.parametrize("every_ns", [FRAME_NS, 2_000_000_000])
def test_a_tilted_face_that_stands_still_is_found_within_two_searches_whatever_clutter_is_there(
    model: KeypointModel, tilted: tuple[Frame, Crop], every_ns: int
) -> None:
    frame, crop = tilted
    search = FakeSearch([[*clutter(CLUTTER), crop]] * 2)
    engine = Engine(model, search)
    for i in range(10):
        seen = engine.process(replace(frame, captured_ns=i * every_ns, sequence=i))
        if seen.state is State.TRACKING:
            break
    assert seen.state is State.TRACKING
    assert search.count <= 2


def test_a_frame_looks_at_a_few_proposals_only(model: KeypointModel, tilted: tuple[Frame, Crop]) -> None:
    frame = replace(tilted[0], grey=np.full_like(tilted[0].grey, 128))
    engine = Engine(model, FakeSearch([clutter(CLUTTER)]), EngineSettings())
    engine.process(frame)
    assert 0 < len(engine.times.newest_ns("infer")) <= MAX_LOOKS


def test_a_proposal_without_any_likeness_gets_one_look(model: KeypointModel, demo_frames: list[Frame]) -> None:
    frame = replace(demo_frames[0], grey=np.full_like(demo_frames[0].grey, 128))
    engine = Engine(model, FakeSearch([[Crop(300, 200, 80)]]), EngineSettings())
    for i in range(4):
        engine.process(replace(frame, sequence=i, captured_ns=i * FRAME_NS))
    assert len(engine.times.newest_ns("infer")) == 1
