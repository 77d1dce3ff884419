"""Heads for games and avatars: the faces that have a pose, and a pose as the rotation that other programs take."""

from __future__ import annotations

import logging
import math

from fkp_edge.stream.protocol.messages import FaceMessage, ObservationMessage, Pose
from fkp_edge.stream.server.line_server import DatagramSender

__all__ = ["HeadSender", "Rows", "clamped", "rotation_rows"]

Rows = tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]

_log = logging.getLogger(__name__)


class HeadSender(DatagramSender):
    """Sends heads that were seen in this frame; says once where they come without a pose."""

    _said = False

    def heads(self, message: ObservationMessage) -> list[tuple[FaceMessage, Pose]]:
        """Faces and their poses; none while none is seen: receivers then hold the last one."""
        found = [(face, face.pose) for face in message.faces if face.pose is not None and not face.held]
        if message.faces and all(face.pose is None for face in message.faces) and not self._said:
            self._said = True
            _log.warning("%s gets nothing: the faces of this source come without a pose", self.address)
        return found if message.state == "tracking" else []


def rotation_rows(pose: Pose) -> Rows:
    """The head's rotation in the axes of a camera that looks straight at it: right, down, away.

    It takes the head's own axes (to the subject's left, down, out of the back of the head) to the camera's.
    """
    yaw, pitch, roll = (math.radians(angle) for angle in (pose.yaw, pose.pitch, pose.roll))
    cy, sy, cp, sp, cr, sr = *_turn(yaw), *_turn(pitch), *_turn(roll)
    return (
        (cy * cr + sy * sp * sr, sy * sp * cr - cy * sr, -sy * cp),
        (cp * sr, cp * cr, sp),
        (sy * cr - cy * sp * sr, -sy * sr - cy * sp * cr, cy * cp),
    )


def clamped(value: float | None, least: float, most: float, *, unknown: float = 0.0) -> float:
    """`value` within its bounds; `unknown` where it is None."""
    return unknown if value is None else min(most, max(least, value))


def _turn(angle: float) -> tuple[float, float]:
    return math.cos(angle), math.sin(angle)
