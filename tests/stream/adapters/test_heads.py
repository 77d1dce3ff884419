from __future__ import annotations

import numpy as np
import pytest

from fkp_edge.device.tracking.pose import rotation
from fkp_edge.stream import Pose
from fkp_edge.stream.adapters.heads import rotation_rows


@pytest.mark.parametrize("pose", [(0, 0, 0), (30, 0, 0), (0, -20, 0), (0, 0, 45), (-25, 15, -35)])
def test_the_rotation_is_that_by_which_the_pose_is_measured(pose: tuple[float, float, float]) -> None:
    yaw, pitch, roll = pose
    assert np.allclose(rotation_rows(Pose(yaw=yaw, pitch=pitch, roll=roll)), rotation(pose))
