"""Tilted faces, and the search's share of a core."""

from __future__ import annotations

import math
import threading
import time

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import Crop, crop_from_track
from fkp_edge.core.keypoints import FKP15, Points
from fkp_edge.core.observation import Frame, State
from fkp_edge.device.detection.haar import HaarDetector, RotatedDetector
from fkp_edge.device.detection.search import InlineSearch, ThreadedSearch
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.model.interpreter import KeypointModel


def tilted(frame: Frame, degrees: float) -> tuple[np.ndarray, Points]:
    """The frame turned clockwise on the screen about its middle, and where its points are then."""
    height, width = frame.grey.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 1.0)
    grey = cv2.warpAffine(frame.grey, matrix, (width, height), borderValue=160)
    return grey, (frame.truth @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)


@pytest.mark.parametrize("degrees", [-30, 30])
def test_a_tilted_face_is_proposed_with_its_place_and_roll(
    detector: HaarDetector, demo_frames: list[Frame], degrees: float
) -> None:
    grey, points = tilted(demo_frames[0], degrees)
    crop = RotatedDetector(detector).detect_rotated(grey, degrees)[0]
    true = crop_from_track(points, FKP15.mean_shape)
    assert math.hypot(crop.x - true.x, crop.y - true.y) < 0.15 * true.side
    assert crop.side == pytest.approx(true.side, rel=0.25)
    assert math.degrees(crop.roll) == pytest.approx(degrees)


@pytest.mark.parametrize("degrees", [-30, 30])
def test_a_small_tilted_face_in_a_large_picture_is_proposed(
    detector: HaarDetector, demo_frames: list[Frame], degrees: float
) -> None:
    small = cv2.resize(tilted(demo_frames[0], degrees)[0], None, fx=0.6, fy=0.6, interpolation=cv2.INTER_AREA)
    grey = np.full((1080, 1920), 160, np.uint8)
    grey[400 : 400 + small.shape[0], 700 : 700 + small.shape[1]] = small
    crop = RotatedDetector(detector).detect_rotated(grey, degrees)[0]
    assert math.hypot(crop.x - 700 - small.shape[1] / 2, crop.y - 400 - small.shape[0] / 2) < 20
    assert crop.side == pytest.approx(0.6 * 190, rel=0.25)


@pytest.mark.parametrize("shape", [(1, 5000), (24, 3000), (2000, 30)])
def test_pictures_of_any_shape_are_turned(detector: HaarDetector, shape: tuple[int, int]) -> None:
    assert RotatedDetector(detector).detect(np.zeros(shape, np.uint8)) == []


def test_upright_faces_come_first_and_turns_only_without_them(detector: HaarDetector, demo_frames: list[Frame]) -> None:
    assert RotatedDetector(detector).detect(demo_frames[0].grey) == detector.detect(demo_frames[0].grey)


def test_upright_boxes_that_stay_do_not_keep_tilted_faces_from_being_proposed(
    detector: HaarDetector, demo_frames: list[Frame]
) -> None:
    both = np.hstack([demo_frames[0].grey, tilted(demo_frames[0], -30)[0]])
    turning = RotatedDetector(detector)
    kinds = [[type(proposal) for proposal in turning.detect(both)] for _ in range(3)]
    assert [set(kind) for kind in kinds] == [{tuple}, {tuple, Crop}, {tuple}]
    assert Crop in kinds[1][:3]


@pytest.mark.parametrize("degrees", [-40, 40])
def test_the_engine_finds_a_face_that_stays_tilted(
    model: KeypointModel, detector: HaarDetector, demo_frames: list[Frame], degrees: float
) -> None:
    grey, points = tilted(demo_frames[0], degrees)
    engine = Engine(model, InlineSearch(RotatedDetector(detector).detect))
    seen = [engine.process(Frame(grey, i * 120_000_000, i)) for i in range(3)]
    assert seen[-1].state is State.TRACKING
    assert np.abs(seen[-1].faces[0].points - points).max() < 20


def test_searches_rest_so_that_they_keep_to_their_share() -> None:
    """Between the ends of two searches lies at least what the first used, times what the share asks for."""
    ended: list[tuple[float, float]] = []

    def busy(grey: np.ndarray) -> list:
        start = time.thread_time()
        while time.thread_time() - start < 0.01:
            pass
        ended.append((time.monotonic(), time.thread_time()))
        return []

    search = ThreadedSearch(busy, cpu_share=0.2)
    frame = Frame(np.zeros((8, 8), np.uint8), 0, 0)
    for _ in range(2000):
        search.look(frame)
        if len(ended) >= 4:
            break
        threading.Event().wait(0.005)
    search.close()
    assert len(ended) >= 4
    wall, used = (b - a for a, b in zip(ended[0], ended[3], strict=True))
    assert used <= 0.21 * wall
