from __future__ import annotations

import cv2
import numpy as np
import pytest

from fkp_edge.core.drawing import GLASSES, draw_glasses, place, read_effect
from fkp_edge.core.geometry import Crop
from fkp_edge.core.keypoints import FKP15
from fkp_edge.errors import InputError


@pytest.fixture
def marked() -> np.ndarray:
    """An effect with a green dot where the right eye lies, and a red one where the left does."""
    picture = np.zeros((100, 200, 4), np.uint8)
    cv2.circle(picture, (50, 50), 6, (0, 255, 0, 255), -1)
    cv2.circle(picture, (150, 50), 6, (0, 0, 255, 255), -1)
    return picture


def centre(mask: np.ndarray) -> np.ndarray:
    return np.argwhere(mask).mean(0)[::-1]


@pytest.mark.parametrize(
    ("right", "left"),
    [((100, 100), (160, 100)), ((90, 150), (140, 110)), ((200, 60), (180, 130)), ((60, 60), (90, 60))],
)
def test_eyes_meet_eyes_wherever_and_however_turned(marked, right, left):
    frame = np.zeros((240, 320, 3), np.uint8)
    place(frame, marked, right=np.array(right), left=np.array(left))
    assert np.abs(centre(frame[..., 1] > 128) - right).max() < 0.6
    assert np.abs(centre(frame[..., 2] > 128) - left).max() < 0.6


@pytest.mark.parametrize(("right", "left"), [((5, 5), (5, 5)), ((0, 0), (1e6, 0)), ((np.nan, 0), (1, 1))])
def test_what_is_no_face_wears_nothing(marked, right, left):
    frame = np.zeros((240, 320, 3), np.uint8)
    place(frame, marked, right=np.array(right), left=np.array(left))
    assert not frame.any()


def test_what_is_transparent_leaves_the_picture(marked):
    frame = np.full((240, 320, 3), 77, np.uint8)
    place(frame, marked, right=np.array((100, 100)), left=np.array((160, 100)))
    assert (frame == 77).mean() > 0.95


def test_the_drawn_pair_covers_the_eyes():
    frame = np.full((240, 320, 3), 200, np.uint8)
    points = Crop(160, 120, 150).to_frame(FKP15.mean_shape)
    read_effect(GLASSES, FKP15)(frame, points)
    for eye in FKP15.eye_centers(points):
        x, y = eye.round().astype(int)
        assert frame[y, x].mean() < 120


def test_a_file_is_read(tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), draw_glasses())
    frame = np.full((240, 320, 3), 200, np.uint8)
    read_effect(str(tmp_path / "a.png"), FKP15)(frame, Crop(160, 120, 150).to_frame(FKP15.mean_shape))
    assert frame.min() < 60


def test_what_is_no_effect_is_refused(tmp_path):
    cv2.imwrite(str(tmp_path / "opaque.png"), np.zeros((10, 10, 3), np.uint8))
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").touch()
    cv2.imwrite(str(tmp_path / "huge.png"), np.zeros((2100, 2100, 4), np.uint8))
    for name in ("opaque", "text", "empty"):
        with pytest.raises(InputError, match=rf"{name}\.png is no PNG with transparency; expected one, or glasses"):
            read_effect(str(tmp_path / f"{name}.png"), FKP15)
    with pytest.raises(InputError, match=r"cannot read .*none\.png: .* expected glasses or a PNG"):
        read_effect(str(tmp_path / "none.png"), FKP15)
    with pytest.raises(InputError, match="has 2100x2100 pixels; expected 4000000 at most"):
        read_effect(str(tmp_path / "huge.png"), FKP15)
