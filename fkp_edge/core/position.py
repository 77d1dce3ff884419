"""Where a head is: its place in centimetres before the camera, from the distance between the pupils."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.keypoints import Points, Schema
from fkp_edge.errors import InputError

__all__ = ["FIELD_OF_VIEW", "PUPILS_CM", "Position", "head_position"]

PUPILS_CM = 6.3
"""Between an adult's pupils: 63 mm on average, 54 to 74 mm for most (Dodgson, "Variation and extrema of human
interpupillary distance", SPIE 5291, 2004). A child's 5 cm make the distance 26 % too large."""
FIELD_OF_VIEW = 62.0
"""Degrees across the picture's width, where the camera's own is not known: that of Camera Module 2."""


class Position(NamedTuple):
    """The middle between the eyes, in the camera's axes: centimetres.

    >>> import fkp_edge as fkp
    >>> with fkp.Tracker(measures=True) as tracker:
    ...     position = tracker(fkp.demo_picture(), time_s=0.0)[0].position
    >>> 10 < position.z < 100
    True
    """

    x: float
    """To the right of the picture."""
    y: float
    """Down."""
    z: float
    """Away from the camera, along its axis."""

    def matrix(self, turn: NDArray[np.floating]) -> NDArray[np.float64]:
        """The transform from the head to the camera.

        Args:
            turn: (3, 3), the head's rotation to a camera that looks straight at it, as `rotation(pose)` gives it.

        Returns:
            (4, 4): takes points of the head (cm, from the middle between its eyes) to the camera's axes (cm).
        """
        across, down = math.atan2(self.x, self.z), math.atan2(self.y, math.hypot(self.x, self.z))
        ca, sa, cd, sd = math.cos(across), math.sin(across), math.cos(down), math.sin(down)
        towards = np.array([[ca, 0, sa], [0, 1, 0], [-sa, 0, ca]]) @ np.array([[1, 0, 0], [0, cd, sd], [0, -sd, cd]])
        full = np.eye(4)
        full[:3, :3], full[:3, 3] = towards @ turn, self
        return full


def head_position(
    points: Points,
    schema: Schema,
    pose: tuple[float, float, float],
    frame_size: tuple[int, int],
    *,
    pupils_cm: float = PUPILS_CM,
    field_of_view: float = FIELD_OF_VIEW,
) -> Position | None:
    """Where the head with `points` is.

    Args:
        points: (K, 2), frame pixels.
        schema: of the points.
        pose: yaw, pitch and roll, degrees.
        frame_size: width and height of the frame, pixels.
        pupils_cm: distance between this person's pupils.
        field_of_view: of the camera across the frame's width, degrees, 10 to 170.

    Returns:
        The place; None where the eyes are in one spot, or the face is in profile.

    Raises:
        InputError: a field of view or a distance that no camera or head has.

    >>> from fkp_edge.core.keypoints import FKP15
    >>> place = head_position(FKP15.mean_shape * 200 + 220, FKP15, (0.0, 0.0, 0.0), (640, 480))
    >>> round(place.z)
    53
    """
    if not 10 <= field_of_view <= 170:
        raise InputError(f"a field of view of {field_of_view:g} degrees is none of a camera; expected 10 to 170")
    if not 3 <= pupils_cm <= 10:
        raise InputError(f"{pupils_cm:g} cm between pupils is no person's; expected 3 to 10, 6.3 for an adult")
    xs, ys = points.T.tolist()
    lx, ly, rx, ry = (
        sum([values[i] for i in eye]) / len(eye) for eye in (schema.left_eye, schema.right_eye) for values in (xs, ys)
    )
    facing = math.cos(math.radians(pose[0]))
    apart = math.hypot(lx - rx, ly - ry)
    if facing < 0.2 or not 0 < apart < math.inf:
        return None
    width, height = frame_size
    focal = width / 2 / math.tan(math.radians(field_of_view) / 2)
    z = focal * pupils_cm * facing / apart
    x, y = (lx + rx - width + 1) / 2, (ly + ry - height + 1) / 2
    return Position(x * z / focal, y * z / focal, z)
