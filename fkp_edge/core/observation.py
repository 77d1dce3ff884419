"""What flows from camera to socket: Frame -> Engine -> Observation -> sinks; and where heads are."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Box
from fkp_edge.core.keypoints import Points, Schema
from fkp_edge.core.measures import Measures
from fkp_edge.errors import InputError

__all__ = ["FIELD_OF_VIEW", "PUPILS_CM", "Face", "Frame", "Observation", "Position", "State", "head_position"]

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


class State(StrEnum):
    """What the engine is doing."""

    SEARCHING = "searching"
    """No face: Haar looks for one."""
    TRACKING = "tracking"
    """A face was seen in this frame."""
    HELD = "held"
    """The face was not seen in this frame, but a moment ago; its last points are repeated."""
    NO_CAMERA = "no_camera"
    """It failed, or no frame has come for as long as `supervision.stall_s` says."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture from a source. The receiver owns the pixels: no source writes to them again."""

    grey: NDArray[np.uint8]
    """(H, W)."""
    captured_ns: int
    """Monotonic clock of the device when the picture was taken."""
    sequence: int
    """Counts the source's pictures from 0; gaps are pictures that nobody processed."""
    truth: Points | None = None
    """True points (K, 2), where a demonstration or test knows them."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in a frame."""

    id: int
    """Stable while the face is tracked; never used again in a run."""
    score: float
    """Probability that the crop held one well-framed face, 0 to 1."""
    box: Box
    """x, y, width, height in frame pixels."""
    points: Points
    """(K, 2), frame pixels, in the order of the model's schema."""
    pose: tuple[float, float, float] | None = None
    """Yaw (positive to the subject's left), pitch (up) and roll (towards the subject's left shoulder) in degrees."""
    held: bool = False
    """Whether it was not seen in this frame but a moment ago; its last points are repeated."""
    measures: Measures | None = None
    """What it does, where that is asked for."""
    position: Position | None = None
    """Where the head is, centimetres; None where it is not asked for, or the face does not tell."""

    def enlarged(self, factor: int) -> Face:
        """This face in a picture whose sides are `factor` times as long."""
        x, y, width, height = self.box
        corner = ((x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5)
        points = np.asarray((self.points + 0.5) * factor - 0.5, np.float32)
        return replace(self, box=(*corner, width * factor, height * factor), points=points)


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What was seen in one frame."""

    sequence: int
    """Of the frame."""
    captured_ns: int
    """Of the frame."""
    state: State
    faces: tuple[Face, ...] = ()
    """Those seen in the frame, then those held."""
    dropped: int = 0
    """Frames skipped since the observation before."""
