"""Head poses for other programs: opentrack's and OpenSeeFace's packets."""

from __future__ import annotations

import logging
import math
import struct
import time
from collections.abc import Callable, Iterator, Sequence

from fkp_edge.errors import StreamError
from fkp_edge.stream.protocol.address import UdpAddress
from fkp_edge.stream.protocol.messages import FaceMessage, Hello, Measures, ObservationMessage, Pose, Position
from fkp_edge.stream.server.line_server import DatagramSender

__all__ = [
    "HeadSender",
    "OpenSeeFaceSender",
    "OpentrackSender",
    "Rows",
    "check_points",
    "clamped",
    "lid_shut",
    "rotation_rows",
]

OPEN, SHUT = 0.92, 0.7
"""Openness from which an eye is open, and below which it is shut: networks see shut eyes as three quarters open."""
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


def lid_shut(openness: float | None) -> float | None:
    """How far an eye is shut, 0 to 1; None where that is not known."""
    return None if openness is None else clamped((OPEN - openness) / (OPEN - SHUT), 0.0, 1.0)


def _turn(angle: float) -> tuple[float, float]:
    return math.cos(angle), math.sin(angle)


class OpentrackSender(HeadSender):
    """Sends the first face's place and pose. opentrack counts yaw and roll positive to the right."""

    def datagrams(self, message: ObservationMessage) -> Iterator[bytes]:
        """One, where a face with a pose was seen in this frame."""
        for face, pose in self.heads(message)[:1]:
            place = face.position
            x, y, z = (0.0, 0.0, 0.0) if place is None else (place.x, -place.y, place.z)
            yield struct.pack("<6d", x, y, z, -pose.yaw, pose.pitch, -pose.roll)


POINTS = (*range(48), *range(49, 54), *range(55, 68))
"""iBUG's numbers of OpenSeeFace's points: 58 and 62, its corners of the mouth, are iBUG's 60 and 64."""
UNIT_CM = 12.2
"""Of its 3D face, whose pupils are 0.516 apart; people's are 6.3 cm."""
EYES_3D = ((0.258, 0.276, -0.22), (-0.258, 0.276, -0.22), (0.258, 0.276, -0.325), (-0.258, 0.276, -0.325))
"""Pupils, then eyeballs, right and left, in those units from the tip of the nose: eyes that look straight ahead."""
USUAL_WIDTH, WIDTH_RANGE = 0.85, 0.25
RAISED = 0.3
"""Of a brow, beyond 1, that is clearly raised."""
WIDE_OPEN = 0.5
"""Of a mouth."""
_FACE = struct.Struct("<di4fBf4f3f3f68f136f210f14f")


def check_points(count: int) -> None:
    """Refuses a network without eyelids and lips.

    Raises:
        StreamError: a face has not 68 points.
    """
    if count != 68:
        raise StreamError(f"openseeface:// sends 66 of 68 points, and these are {count}; --model keypoints68-int8")


class OpenSeeFaceSender(HeadSender):
    """Sends all faces that are seen. They are numbered from 0, as receivers expect of the first."""

    def __init__(
        self,
        address: UdpAddress,
        hello: Callable[[], Hello],
        *,
        insecure: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        """
        Raises:
            StreamError: the host is unknown, or beyond loopback without `insecure`, or a face has not 68 points.
        """
        check_points(len(hello().points))
        super().__init__(address, insecure=insecure)
        self._hello = hello
        self._now = now

    def datagrams(self, message: ObservationMessage) -> Iterator[bytes]:
        """One with all faces, where any is seen in this frame."""
        size = self._hello().frame_size or (0, 0)
        heads = [head for head in self.heads(message) if len(head[0].points) == 68]
        if heads:
            now = self._now()
            yield b"".join(_face(now, number, size, *head) for number, head in enumerate(heads))


def _face(now: float, number: int, size: tuple[int, int], face: FaceMessage, pose: Pose) -> bytes:
    found = face.measures or Measures()
    rows = _behind_the_camera(rotation_rows(pose))
    lids = (1.0 - (lid_shut(eye) or 0.0) for eye in (found.eye_open_right, found.eye_open_left))
    flat = [value for i in POINTS for value in face.points[i]]
    return _FACE.pack(
        now,
        number,
        *size,
        *lids,
        1,  # the pose is good
        0.0,  # nothing was fitted
        *_quaternion(rows),
        *_euler(rows),
        *_translation(face.position),
        *([face.score] * len(POINTS) + [0.0, 0.0]),
        *(*flat, *[0.0] * 4),
        *([0.0] * 3 * len(POINTS)),
        *(value for x, y, z in EYES_3D for value in (x, -y, -z)),
        *_features(found),
    )


def _behind_the_camera(rows: Rows) -> Rows:
    """Its axes are down, right and away; behind the camera, what is down and right appears up and left."""
    right, down, (x, y, z) = rows
    return down, right, (-x, -y, -z)


def _translation(place: Position | None) -> tuple[float, float, float]:
    return (0.0, 0.0, 0.0) if place is None else (-place.y / UNIT_CM, -place.x / UNIT_CM, -place.z / UNIT_CM)


def _euler(m: Rows) -> tuple[float, float, float]:
    """Degrees about x, y and z, as OpenCV's RQDecomp3x3 gives them."""
    x, y = math.atan2(m[2][1], m[2][2]), math.atan2(-m[2][0], math.hypot(m[2][1], m[2][2]))
    return math.degrees(x), math.degrees(y), math.degrees(math.atan2(m[1][0], m[0][0]))


def _quaternion(m: Rows) -> Sequence[float]:
    """x, y, z, w of the transposed rotation, as OpenSeeFace sends it: Mike Day's four cases, no division by 0."""
    (a, b, c), (d, e, f), (g, h, i) = m
    if i < 0:
        cases = (1 + a - e - i, b + d, g + c, f - h), (b + d, 1 - a + e - i, f + h, g - c)
        q = cases[0] if a > e else cases[1]
    else:
        cases = (g + c, f + h, 1 - a - e + i, b - d), (f - h, g - c, b - d, 1 + a + e + i)
        q = cases[0] if a < -e else cases[1]
    length = math.hypot(*q)
    return [value / length for value in q]


def _features(found: Measures) -> list[float]:
    """The 14 that end a face: each is 0 as is usual, and -1 to 1."""

    def beyond(value: float | None, usual: float, span: float) -> float:
        return 0.0 if value is None else clamped((value - usual) / span, -1.0, 1.0)

    eyes = [
        -shut if (shut := lid_shut(eye)) else beyond(eye, 1.0, 1.0)
        for eye in (found.eye_open_left, found.eye_open_right)
    ]
    brows = [beyond(brow, 1.0, RAISED) for brow in (found.brow_raise_left, found.brow_raise_right)]
    mouth = [beyond(found.mouth_open, 0.0, WIDE_OPEN), beyond(found.mouth_wide, USUAL_WIDTH, WIDTH_RANGE)]
    return [*eyes, 0.0, brows[0], 0.0, 0.0, brows[1], 0.0, *[0.0] * 4, *mouth]
