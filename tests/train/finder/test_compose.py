"""Composed frames hold what their labels say."""

from __future__ import annotations

import math

import cv2
import msgspec
import numpy as np
import pytest

from fkp_edge.core.geometry import Crop, crop_from_labels, extract
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data.pictures import portrait, portrait_points
from fkp_edge.model.finder_maps import INPUT_SIZE, LEVELS, decode_maps
from fkp_edge.train.finder.compose import Composer, Frame
from fkp_edge.train.finder.recipe import Compose
from fkp_edge.train.finder.sources import face_crop, make_source
from fkp_edge.train.finder.targets import make_target

CLEAN = Compose(dark_share=0, blur_share=0, noise_share=0, jpeg_share=0, cover_share=0, least_side=20)


@pytest.fixture(scope="module")
def composer() -> Composer:
    grey = np.asarray(cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY), np.uint8)
    source = make_source(grey, [face_crop(portrait_points(), FKP15)])
    return Composer([source], [[source]], CLEAN)


def likeness(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


def test_faces_lie_where_the_labels_say(composer: Composer) -> None:
    source = composer.photographs[0]
    face = extract(source.levels[0], source.faces[0])
    rng = np.random.default_rng(3)
    frames = [composer.draw(rng) for _ in range(60)]
    seen = [(frame, crop) for frame in frames for crop in frame.faces if len(frame.faces) == 1 and crop.side < 90]
    found = [extract(frame.pixels, crop) for frame, crop in seen]
    alike = [max(likeness(one, face), likeness(one, face[:, ::-1])) for one in found]
    assert len(alike) > 10
    assert np.median(alike) > 0.85


@pytest.mark.parametrize(("part", "size"), [(0, INPUT_SIZE), (96, (96, 96))])
def test_frames_have_the_size_asked_for(composer: Composer, part: int, size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    assert {composer.draw(rng, part).pixels.shape for _ in range(20)} == {(size[1], size[0])}


def test_the_same_seed_gives_the_same_frame(composer: Composer) -> None:
    first, second = (composer.draw(np.random.default_rng(5)) for _ in range(2))
    assert (first.pixels == second.pixels).all()
    assert first.faces == second.faces


@pytest.mark.parametrize("share", ["tile_share", "crowd_share"])
def test_small_faces_among_others_lie_where_the_labels_say(composer: Composer, share: str) -> None:
    none = dict.fromkeys(("view_share", "paste_share", "tile_share", "crowd_share"), 0.0)
    source = composer.photographs[0]
    small = Composer([source], [], msgspec.structs.replace(CLEAN, least_side=12, **(none | {share: 1.0})))
    face = extract(source.levels[0], source.faces[0])
    rng = np.random.default_rng(0)
    seen = [(frame, crop) for frame in (small.draw(rng) for _ in range(60)) for crop in frame.faces]
    found = [extract(frame.pixels, crop) for frame, crop in seen if crop.side > 16]
    alike = [max(likeness(one, face), likeness(one, face[:, ::-1])) for one in found]
    assert len(alike) > 20
    assert np.median(alike) > 0.8


def test_what_the_targets_say_is_decoded_to_the_same_crops() -> None:
    faces = [Crop(30.2, 40.7, 9, 0.5), Crop(100, 60, 88, -0.7)]
    frame = Frame(np.zeros((INPUT_SIZE[1], INPUT_SIZE[0]), np.uint8), faces)
    targets = [make_target(frame, level) for level in LEVELS]
    maps = [(np.log(np.clip(t.heat, 1e-4, 1 - 1e-4) / (1 - np.clip(t.heat, 1e-4, 1 - 1e-4))), t.shape) for t in targets]
    found = sorted((p.crop for p in decode_maps(maps, most=2, least=0.9)), key=lambda crop: crop.side)
    for crop, face in zip(found, faces, strict=True):
        assert (crop.x, crop.y, crop.side, crop.roll) == pytest.approx((face.x, face.y, face.side, face.roll), abs=1e-3)


def test_an_ignored_face_asks_for_nothing() -> None:
    frame = Frame(np.zeros((INPUT_SIZE[1], INPUT_SIZE[0]), np.uint8), [], [Crop(60, 60, 20)])
    target = make_target(frame, LEVELS[0])
    assert target.heat.max() == 0
    assert target.care[7, 7] == 0
    assert target.care[0, 0] == 1


@pytest.mark.parametrize("degrees", [-40, 0, 25])
def test_a_turned_face_is_framed_as_the_upright_one_is(degrees: float) -> None:
    points = portrait_points()
    upright = crop_from_labels(points, FKP15)
    straight = face_crop(points, FKP15)
    angle = math.radians(degrees)
    turn = np.array([[math.cos(angle), math.sin(angle)], [-math.sin(angle), math.cos(angle)]])
    turned = face_crop(np.asarray(points @ turn, np.float32), FKP15)
    assert straight.side == pytest.approx(upright.side, rel=0.02)
    assert turned.side == pytest.approx(straight.side, rel=1e-3)
    assert math.degrees(turned.roll - straight.roll) == pytest.approx(degrees, abs=0.1)
