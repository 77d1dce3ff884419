"""Pose from points, on the projections of the mean face."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from fkp_edge.core.keypoints import FKP15, IBUG68
from fkp_edge.core.observation import Frame
from fkp_edge.device.detection.search import FakeSearch
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.device.tracking.pose import DISTANCE, MEAN_FACE, head_pose, rotation
from fkp_edge.model.interpreter import KeypointModel


def seen(pose: tuple[float, float, float], *, x: float = 320, y: float = 240, side: float = 150) -> np.ndarray:
    """The mean face in `pose` as a camera sees it."""
    turned = MEAN_FACE @ rotation(pose).T
    flat = turned[:, :2] * DISTANCE / (DISTANCE + turned[:, 2:])
    return (flat * side + [x, y]).astype(np.float32)


POSES = [(0, 0, 0), (30, 0, 0), (-30, 0, 0), (0, 20, 0), (0, -20, 0), (0, 0, 40), (0, 0, -170), (25, -15, 35)]


@pytest.mark.parametrize("pose", POSES)
@pytest.mark.parametrize(
    "place", [{"x": 320, "y": 240}, {"x": 40, "y": 420, "side": 60}, {"x": 0.5, "y": 0.5, "side": 0.4}]
)
def test_gives_back_the_pose_wherever_the_face_is(pose: tuple[float, float, float], place: dict[str, float]) -> None:
    assert head_pose(seen(pose, **place), FKP15) == pytest.approx(pose, abs=1.5)


@pytest.mark.parametrize("pose", POSES)
def test_solve_pnp_agrees(pose: tuple[float, float, float]) -> None:
    points = seen(pose) + np.random.default_rng(1).normal(0, 1.0, (15, 2)).astype(np.float32)
    camera = np.diag([DISTANCE * 150, DISTANCE * 150, 1.0])
    centred = points.astype(np.float64) - points.mean(0)
    _, turn, _ = cv2.solvePnP(MEAN_FACE, centred, camera, None, flags=cv2.SOLVEPNP_SQPNP)
    away = cv2.Rodrigues(turn)[0] @ rotation(head_pose(points, FKP15)).T
    assert np.degrees(np.linalg.norm(cv2.Rodrigues(away)[0])) < 2.5


def test_yaw_to_the_subjects_left_moves_the_nose_to_the_right_of_the_picture() -> None:
    points = seen((30, 0, 0))
    eyes = points[:2].mean(0)
    assert points[10, 0] > eyes[0]
    assert head_pose(points, FKP15)[0] > 25


def test_pitch_up_moves_the_nose_up() -> None:
    drop = {pitch: (p := seen((0, pitch, 0)))[10, 1] - p[:2, 1].mean() for pitch in (-20, 20)}
    assert drop[20] < drop[-20]


def test_roll_to_the_subjects_left_shoulder_lowers_the_left_eye() -> None:
    left, right = seen((0, 0, 20))[:2]
    assert left[1] > right[1]


def test_a_mirrored_face_has_mirrored_angles() -> None:
    points = seen((25, -10, 15)) + np.random.default_rng(0).normal(0, 1, (15, 2)).astype(np.float32)
    mirrored = points[list(FKP15.flip)] * np.array([-1, 1], np.float32)
    yaw, pitch, roll = head_pose(points, FKP15)
    assert head_pose(mirrored, FKP15) == pytest.approx((-yaw, pitch, -roll), abs=0.01)


def test_68_points_have_the_15_in_them() -> None:
    points = np.zeros((68, 2), np.float32)
    fifteen = seen((20, 5, 0))
    for at, group in enumerate((range(42, 48), range(36, 42), 42, 45, 39, 36, 22, 26, 21, 17, 30, 54, 48, 51, 57)):
        points[list(group) if at < 2 else group] = fifteen[at]
    assert head_pose(points, IBUG68) == pytest.approx((20, 5, 0), abs=6)  # eye centres are means of other points here


@pytest.mark.parametrize("seed", range(5))
def test_of_a_face_drawn_out_of_shape_it_is_the_nearest_rotations(seed: int) -> None:
    points = seen((20, -15, 30)) @ (np.eye(2) + np.random.default_rng(seed).normal(0, 0.3, (2, 2)))
    centred = MEAN_FACE - MEAN_FACE.mean(0)

    def nearest(flat: np.ndarray) -> np.ndarray:
        """Rows of the rotation: the polar factor of the affine map, by singular values."""
        u, _, v = np.linalg.svd(np.linalg.pinv(centred) @ flat, full_matrices=False)
        x, y = (u @ v).T
        return np.array([x, y, np.cross(x, y)])

    away = nearest(points)[2]
    flat = (points - points.mean(0)) * (1 + centred @ away / DISTANCE)[:, None]
    assert rotation(head_pose(points.astype(np.float32), FKP15)) == pytest.approx(nearest(flat), abs=1e-3)


def test_a_schema_without_those_points_has_no_pose() -> None:
    assert head_pose(seen((0, 0, 0)), replace(FKP15, name="other")) is None


@pytest.mark.parametrize("points", [np.zeros((15, 2)), np.full((15, 2), np.nan), np.c_[np.arange(15.0), np.zeros(15)]])
def test_points_that_are_no_face_do_no_harm(points: np.ndarray) -> None:
    pose = head_pose(points.astype(np.float32), FKP15)
    assert pose is None or np.isfinite(pose).all()


def test_the_engine_reports_the_pose_and_the_demos_roll(model: KeypointModel, demo_frames: list[Frame]) -> None:
    frame = demo_frames[216]  # 25 degrees clockwise on the screen
    left, right = frame.truth[0], frame.truth[1]
    side = 2.6 * float(np.linalg.norm(left - right))
    x, y = (left + right) / 2
    engine = Engine(model, FakeSearch([[(x - side / 2, y - 0.39 * side, side, side)]]))
    roll = engine.process(frame).faces[0].pose[2]
    assert roll == pytest.approx(np.degrees(np.arctan2(*(left - right)[::-1])), abs=8)
