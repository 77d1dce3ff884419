"""Where a proposal is, some frames after it was found."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import Crop, box_around, crop_from_track
from fkp_edge.core.keypoints import FKP15
from fkp_edge.core.observation import Frame
from fkp_edge.device.detection.threaded import moved_on


def crop_of(frame: Frame) -> Crop:
    return crop_from_track(frame.truth, FKP15.mean_shape)


@pytest.mark.parametrize("later", [20, 60, 100])
def test_a_face_is_found_where_it_went(demo_frames: list[Frame], later: int) -> None:
    before, now = demo_frames[0], demo_frames[later]
    moved = moved_on([crop_of(before)], before.grey, now.grey, most=1)[0]
    off = math.hypot(moved.x - crop_of(now).x, moved.y - crop_of(now).y)
    assert off < 0.2 * crop_of(now).side


def test_boxes_stay_boxes(demo_frames: list[Frame]) -> None:
    box = box_around(crop_of(demo_frames[0]))
    shifted = np.roll(demo_frames[0].grey, 40, axis=1)
    moved = moved_on([box, box], demo_frames[0].grey, shifted, most=1)
    assert moved[0] == pytest.approx((box[0] + 40, *box[1:]), abs=6)
    assert moved[1] == box


@pytest.mark.parametrize("now", [np.full((480, 640), 90, np.uint8), np.full((240, 320), 90, np.uint8)])
def test_what_is_gone_or_in_another_picture_stays_where_it_was(demo_frames: list[Frame], now: np.ndarray) -> None:
    crop = crop_of(demo_frames[0])
    assert moved_on([crop], demo_frames[0].grey, now, most=1) == [crop]


def test_what_is_gone_is_not_taken_for_something_a_little_like_it(demo_frames: list[Frame]) -> None:
    crop = crop_of(demo_frames[0])
    for seed in range(5):
        room = cv2.resize(np.random.default_rng(seed).integers(0, 256, (48, 64), np.uint8), (640, 480))
        assert moved_on([crop], demo_frames[0].grey, room, most=1) == [crop]


def test_a_proposal_without_a_pattern_stays(demo_frames: list[Frame]) -> None:
    flat = np.full((480, 640), 90, np.uint8)
    assert moved_on([Crop(100, 100, 80)], flat, demo_frames[0].grey, most=1) == [Crop(100, 100, 80)]
