"""Several faces: composed from the portrait and its mirror image, which move as told."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import crop_from_track
from fkp_edge.core.keypoints import FKP15
from fkp_edge.core.observation import Face, Frame, Observation, State
from fkp_edge.data.pictures import portrait, portrait_points
from fkp_edge.device.detection.haar import HaarDetector
from fkp_edge.device.detection.search import InlineSearch
from fkp_edge.device.tracking.engine import Engine, EngineSettings
from fkp_edge.model.interpreter import KeypointModel

FRAME_NS = 33_333_333
SIZE = (640, 360)
Place = tuple[float, float, float]
"""x and y of a face's middle, side of its crop."""


def compose(places: Sequence[Place]) -> np.ndarray:
    """A frame with the portrait's face at each place, every second one mirrored, the last in front."""
    grey = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)
    home = crop_from_track(portrait_points(), FKP15.mean_shape)
    frame = np.full(SIZE[::-1], 160, np.uint8)
    for index, (x, y, side) in enumerate(places):
        mirrored = index % 2 == 1
        picture, middle = (grey[:, ::-1], grey.shape[1] - 1 - home.x) if mirrored else (grey, home.x)
        mask = np.zeros_like(grey)
        axes = (round(0.62 * home.side), round(0.85 * home.side))
        cv2.ellipse(mask, (round(middle), round(home.y)), axes, 0, 0, 360, 255, -1)
        zoom = side / home.side
        matrix = np.array([[zoom, 0, x - zoom * middle], [0, zoom, y - zoom * home.y]])
        warped, where = (cv2.warpAffine(np.ascontiguousarray(p), matrix, SIZE) for p in (picture, mask))
        frame = np.where(where > 127, warped, frame)
    noise = np.random.default_rng(len(places)).normal(0, 2, frame.shape)
    return np.clip(frame + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def play(model: KeypointModel, detector: HaarDetector) -> Callable[..., list[Observation]]:
    """What the engine sees where faces move as `path(seconds)` says."""

    def run(path: Callable[[float], Sequence[Place]], seconds: float, **settings: float) -> list[Observation]:
        engine = Engine(model, InlineSearch(detector.detect), EngineSettings(**settings))
        frames = (Frame(compose(path(i / 30)), i * FRAME_NS, i) for i in range(round(seconds * 30)))
        return [engine.process(frame) for frame in frames]

    return run


def nearest(face: Face, places: Sequence[Place]) -> int:
    x, y, w, h = face.box
    return min(range(len(places)), key=lambda i: math.hypot(x + w / 2 - places[i][0], y + h / 2 - places[i][1]))


def owners(observations: Sequence[Observation], path: Callable[[float], Sequence[Place]]) -> dict[int, set[int]]:
    """Of each id: which of the faces it was seen on, where they are apart."""
    found: dict[int, set[int]] = {}
    for observation in observations:
        places = path(observation.sequence / 30)
        for face in observation.faces:
            at = nearest(face, places)
            apart = all(math.dist(places[at][:2], p[:2]) > 0.8 * p[2] for i, p in enumerate(places) if i != at)
            if apart:
                found.setdefault(face.id, set()).add(at)
    return found


def side_by_side(seconds: float) -> list[Place]:
    sway = 15 * math.sin(2 * math.pi * seconds)
    return [(150 + sway, 180, 120), (480 - sway, 180, 120)]


def crossing(seconds: float, *, speed: float = 160) -> list[Place]:
    way = speed * seconds
    return [(520 - way, 175, 110), (120 + way, 190, 125)]


def test_one_is_followed_unless_more_are_asked_for(play) -> None:
    assert {len(o.faces) for o in play(side_by_side, 0.5)} == {1}


def test_two_side_by_side_keep_their_ids(play) -> None:
    observations = play(side_by_side, 2.0, max_faces=2)
    assert [len(o.faces) for o in observations[2:]] == [2] * 58
    assert owners(observations, side_by_side) in ({1: {0}, 2: {1}}, {1: {1}, 2: {0}})


@pytest.mark.parametrize("speed", [100, 160, 300])
def test_two_that_cross_do_not_swap(play, speed: float) -> None:
    def path(seconds: float) -> list[Place]:
        return crossing(seconds, speed=speed)

    observations = play(path, 400 / speed, max_faces=2)
    found = owners(observations, path)
    assert all(len(faces) == 1 for faces in found.values()), found
    assert len(observations[-1].faces) == 2
    assert set(found) == {1, 2}


def test_four_are_followed(play) -> None:
    places = [(80, 180, 100), (240, 180, 100), (400, 180, 100), (560, 180, 100)]
    observations = play(lambda _: places, 0.5, max_faces=4)
    assert sorted(nearest(face, places) for face in observations[-1].faces) == [0, 1, 2, 3]


def test_a_face_that_comes_later_is_found_while_another_is_tracked(play) -> None:
    def path(seconds: float) -> list[Place]:
        return side_by_side(0)[: 1 if seconds < 0.5 else 2]

    observations = play(path, 1.6, max_faces=2, new_face_every_s=0.3)
    assert [f.id for f in observations[-1].faces] == [1, 2]


def test_one_that_leaves_does_not_disturb_the_other(play) -> None:
    def path(seconds: float) -> list[Place]:
        return side_by_side(0)[: 2 if seconds < 0.5 else 1]

    observations = play(path, 1.2, max_faces=2)
    assert all(o.state is State.TRACKING for o in observations)
    (face,) = observations[-1].faces
    assert nearest(face, side_by_side(0)) == 0
    assert face.id == next(f.id for f in observations[0].faces if nearest(f, side_by_side(0)) == 0)


def test_a_face_that_is_covered_is_held_beside_one_that_is_seen(model: KeypointModel, detector: HaarDetector) -> None:
    engine = Engine(model, InlineSearch(detector.detect), EngineSettings(max_faces=2))
    places = side_by_side(0)
    for i in range(30):
        both = engine.process(Frame(compose(places), i * FRAME_NS, i))
    assert [face.held for face in both.faces] == [False, False]
    one = engine.process(Frame(compose(places[:1]), 30 * FRAME_NS, 30))
    assert (one.state, [face.held for face in one.faces]) == (State.TRACKING, [False, True])
    assert {face.id for face in one.faces} == {face.id for face in both.faces}
