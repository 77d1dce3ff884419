"""Head pose from points, and what faces do and where heads are."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from fkp_edge.core.keypoints import Points, Schema, to_fkp15
from fkp_edge.core.measures import FaceMeasures
from fkp_edge.core.observation import FIELD_OF_VIEW, PUPILS_CM, Position, head_position
from fkp_edge.core.settings import Settings

__all__ = ["MEAN_FACE", "MeasureSettings", "Measuring", "Pose", "head_pose", "rotation"]

Pose = tuple[float, float, float]
"""Yaw (positive to the subject's left), pitch (up) and roll (towards the subject's left shoulder), degrees."""

# x to the subject's left, y down, z away from the camera, about in crop units; rows as in FKP15. Made by
# benchmarks/mean_face.py: the rigid, left-right symmetric shape whose scaled orthographic projections are nearest to
# the labels of 1,510 photographs (LFPW and HELEN training sets). Photographs do not say what "facing the camera" is in
# pitch: here it is the median pitch of those within 15 degrees of yaw.
MEAN_FACE: NDArray[np.float64] = np.array(
    """
     .1613 -.0862  .0247  -.1613 -.0862  .0247   .0969 -.0774  .0181   .2226 -.0861  .0450  -.0969 -.0774  .0181
    -.2226 -.0861  .0450   .0610 -.1691 -.0727   .2964 -.1543  .0749  -.0610 -.1691 -.0727  -.2964 -.1543  .0749
     .0000  .0942 -.1646   .1395  .2504  .0440  -.1395  .2504  .0440   .0000  .2277 -.0660   .0000  .3235 -.0373
    """.split(),
    np.float64,
).reshape(15, 3)
DISTANCE = 5.0
"""Of the camera from the face, in sides of the face's crop: what a face of an eighth of a 60 degree picture has."""
_CENTRED = MEAN_FACE - MEAN_FACE.mean(0)
_INVERSE = np.linalg.pinv(_CENTRED)
"""(3, 15); takes points to the affine map that best makes them of the mean face, wherever they are."""


def head_pose(points: Points, schema: Schema) -> Pose | None:
    """The pose of the head whose `points` (K, 2) are given in frame pixels; None where they are not known to tell.

    The angles are those of a camera that looks straight at the face, wherever in the frame it is: so neither the
    camera's focal length nor its picture's middle matters. Yaw and pitch say where the face points; roll turns it
    about that direction.
    """
    fifteen = to_fkp15(points, schema)
    if fifteen is None:
        return None
    turn = _nearest_rotation(_INVERSE @ fifteen)
    if turn is None:
        return None
    # a camera shows what is nearer larger: take that out, then look again
    depth = _CENTRED @ np.array(turn[2]) / DISTANCE
    middle = fifteen.sum(0) / len(fifteen)
    turn = _nearest_rotation(_INVERSE @ ((fifteen - middle) * (1 + depth)[:, None]))
    return None if turn is None else _angles(turn)


_Row = tuple[float, float, float]


def _nearest_rotation(affine: NDArray[np.floating]) -> tuple[_Row, _Row, _Row] | None:
    """The rotation whose first two rows, scaled, are nearest to the columns of `affine` (3, 2)."""
    (a, d), (b, e), (c, f) = affine.tolist()
    aa, ad, dd = a * a + b * b + c * c, a * d + b * e + c * f, d * d + e * e + f * f
    # A G^(-1/2) with the square root of the 2x2 Gram matrix G in closed form
    area = math.sqrt(max(aa * dd - ad * ad, 0.0))
    if not 1e-9 < area < math.inf:  # points on a line, or no numbers
        return None
    scale = area * math.sqrt(aa + dd + 2 * area)
    p, q, r = (dd + area) / scale, -ad / scale, (aa + area) / scale
    x = (p * a + q * d, p * b + q * e, p * c + q * f)
    y = (q * a + r * d, q * b + r * e, q * c + r * f)
    z = (x[1] * y[2] - x[2] * y[1], x[2] * y[0] - x[0] * y[2], x[0] * y[1] - x[1] * y[0])
    return x, y, z


def _angles(rows: tuple[_Row, _Row, _Row]) -> Pose:
    """Of a rotation that first rolls, then pitches, then yaws a face that looks into the camera."""
    (_, _, x), (left, down, up), (_, _, z) = rows
    yaw, pitch, roll = math.atan2(-x, z), math.asin(max(-1.0, min(1.0, up))), math.atan2(left, down)
    return math.degrees(yaw), math.degrees(pitch), math.degrees(roll)


def rotation(pose: Pose) -> NDArray[np.float64]:
    """The (3, 3) rotation that turns `MEAN_FACE` into `pose`."""
    yaw, pitch, roll = (math.radians(angle) for angle in pose)
    cy, sy, cp, sp, cr, sr = *_turn(yaw), *_turn(pitch), *_turn(roll)
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return np.asarray(about_y @ about_x @ about_z, np.float64)


def _turn(angle: float) -> tuple[float, float]:
    return math.cos(angle), math.sin(angle)


class MeasureSettings(Settings, frozen=True, kw_only=True):
    """Whether faces are measured, and what that needs to know."""

    enabled: bool = False
    pupils_cm: Annotated[float, Meta(ge=3, le=10)] = PUPILS_CM
    """Between the pupils of the people who are seen."""
    field_of_view: Annotated[float, Meta(ge=10, le=170)] | Literal["auto"] = "auto"
    """Degrees across the picture's width; `auto` is the Pi camera's own where its lens is known, else 62."""

    def of_camera(self, degrees: float | None) -> MeasureSettings:
        """These settings with the field of view that the camera itself gives.

        Args:
            degrees: across the frame's width; None where the camera does not say it.

        Returns:
            New settings where `field_of_view` is `auto`, else these.
        """
        known = self.field_of_view != "auto" or degrees is None
        return self if known else msgspec.structs.replace(self, field_of_view=degrees)


class Measuring:
    """Measures faces with points of one schema."""

    def __init__(self, schema: Schema, settings: MeasureSettings) -> None:
        """
        Raises:
            InputError: nothing can be measured on points of `schema`.
        """
        FaceMeasures(schema)
        self._schema = schema
        self._pupils_cm = settings.pupils_cm
        self._field = FIELD_OF_VIEW if settings.field_of_view == "auto" else settings.field_of_view

    def begin(self) -> FaceMeasures:
        """What keeps the measures of a new face."""
        return FaceMeasures(self._schema)

    def position(
        self, points: Points, pose: tuple[float, float, float] | None, frame_size: tuple[int, int]
    ) -> Position | None:
        """Where the head is, in a frame of (width, height)."""
        if pose is None:
            return None
        return head_position(
            points, self._schema, pose, frame_size, pupils_cm=self._pupils_cm, field_of_view=self._field
        )
