from __future__ import annotations

import numpy as np
import pytest

from fkp_edge.core.keypoints import FKP15, Points
from fkp_edge.core.observation import PUPILS_CM, head_position
from fkp_edge.device.tracking.pose import MEAN_FACE, head_pose, rotation
from fkp_edge.errors import InputError

SIZE = (640, 480)
PUPILS = float(np.linalg.norm(MEAN_FACE[0] - MEAN_FACE[1]))


def shown(place: tuple[float, float, float], pose: tuple[float, float, float], field: float = 62.0) -> Points:
    """The mean face, its eyes' middle at `place` (cm), in `pose` for a camera that looks straight at it."""
    x, y, z = place
    middle = MEAN_FACE[:2].mean(0)
    head = (MEAN_FACE - middle) * PUPILS_CM / PUPILS
    towards = np.array(place) / np.linalg.norm(place)
    right = np.cross((0, 1, 0), towards)
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(towards, right), towards], 1)
    points = head @ rotation(pose).T @ axes.T + (x, y, z)
    focal = SIZE[0] / 2 / np.tan(np.radians(field) / 2)
    return (points[:, :2] / points[:, 2:] * focal + (np.array(SIZE) - 1) / 2).astype(np.float32)


@pytest.mark.parametrize("place", [(0, 0, 60), (15, -8, 60), (-20, 10, 90), (0, 0, 200)])
@pytest.mark.parametrize("yaw", [0, 25, -40])
def test_the_place_of_a_drawn_face_is_found(place: tuple[float, float, float], yaw: float):
    points = shown(place, (yaw, 0, 0))
    found = head_position(points, FKP15, head_pose(points, FKP15), SIZE)
    assert found == pytest.approx(place, rel=0.08, abs=1.5)


def test_a_wider_camera_shows_a_nearer_face():
    points = shown((0, 0, 60), (0, 0, 0), field=100)
    assert head_position(points, FKP15, (0, 0, 0), SIZE, field_of_view=100).z == pytest.approx(60, rel=0.03)
    assert head_position(points, FKP15, (0, 0, 0), SIZE).z > 100


def test_the_matrix_takes_the_head_to_where_it_is_seen():
    pose, place = (20.0, -5.0, 10.0), (12.0, -6.0, 70.0)
    points = shown(place, pose)
    found = head_position(points, FKP15, pose, SIZE)
    matrix = found.matrix(rotation(pose))
    head = (MEAN_FACE - MEAN_FACE[:2].mean(0)) * PUPILS_CM / PUPILS
    seen = head @ matrix[:3, :3].T + matrix[:3, 3]
    focal = SIZE[0] / 2 / np.tan(np.radians(62) / 2)
    projected = seen[:, :2] / seen[:, 2:] * focal + (np.array(SIZE) - 1) / 2
    assert np.abs(projected - points).max() < 0.06 * np.ptp(points[:, 0])
    assert np.linalg.det(matrix[:3, :3]) == pytest.approx(1)


@pytest.mark.parametrize(("name", "value"), [("field_of_view", 5), ("field_of_view", 175), ("pupils_cm", 63)])
def test_settings_that_cannot_be_are_refused(name: str, value: float):
    with pytest.raises(InputError, match=f"{value:g}"):
        head_position(FKP15.mean_shape, FKP15, (0, 0, 0), SIZE, **{name: value})


def test_a_profile_has_no_place():
    assert head_position(FKP15.mean_shape, FKP15, (85, 0, 0), SIZE) is None
