"""OpenSeeFace's packet as Unity/OpenSee.cs (bc74658196e7) of emilianavt/OpenSeeFace reads it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from fkp_edge.cli.main import main
from fkp_edge.device.tracking.pose import rotation
from fkp_edge.errors import StreamError
from fkp_edge.stream import Measures, ObservationMessage, Pose
from fkp_edge.stream.adapters.heads import OpenSeeFaceSender
from fkp_edge.stream.protocol.address import OpenSeeFaceAddress

ADDRESS = OpenSeeFaceAddress("127.0.0.1", 9)
SIZE = 8 + 4 + 2 * 4 + 2 * 4 + 1 + 4 + 3 * 4 + 3 * 4 + 4 * 4 + 4 * 68 + 4 * 2 * 68 + 4 * 3 * 70 + 4 * 14
"""`packetFrameSize` of the receiver, which drops what is no multiple of it."""


class Read(NamedTuple):
    """What the receiver makes of one face, in the order in which it reads."""

    time: float
    number: int
    size: tuple[float, ...]
    eyes: tuple[float, ...]
    """Right, left."""
    got_3d: int
    error: float
    quaternion: tuple[float, ...]
    euler: tuple[float, ...]
    translation: tuple[float, ...]
    confidence: tuple[float, ...]
    points: np.ndarray
    points_3d: np.ndarray
    features: tuple[float, ...]


def receive(packet: bytes) -> list[Read]:
    assert len(packet) % SIZE == 0
    faces = []
    for start in range(0, len(packet), SIZE):
        at = start

        def take(count: int, kind: str = "f") -> tuple[float, ...]:
            nonlocal at
            values = struct.unpack_from(f"<{count}{kind}", packet, at)
            at += struct.calcsize(f"<{count}{kind}")
            return values

        faces.append(
            Read(
                take(1, "d")[0], take(1, "i")[0], take(2), take(2), take(1, "B")[0], take(1)[0], take(4), take(3),
                take(3), take(68), np.reshape(take(136), (68, 2)), np.reshape(take(210), (70, 3)), take(14),
            )
        )  # fmt: skip
        assert at == start + SIZE
    return faces


@pytest.fixture
def sent(hello68) -> Callable[[ObservationMessage], list[bytes]]:
    def build(message: ObservationMessage) -> list[bytes]:
        with OpenSeeFaceSender(ADDRESS, lambda: hello68, now=lambda: 1234.5) as sender:
            return list(sender.datagrams(message))

    return build


def test_a_face_is_what_its_receiver_reads(sent, seen) -> None:
    (packet,) = sent(seen({}))
    (face,) = receive(packet)
    assert (face.time, face.number, face.size, face.got_3d) == (1234.5, 0, (640, 480), 1)
    assert face.eyes == (0, 1)  # right, left
    assert face.translation == pytest.approx((1, -0.5, -5))
    assert face.confidence == (0.75,) * 66 + (0, 0)
    assert face.features[:2] == (0, -1)  # left as usual, right shut
    assert face.features[3] == pytest.approx(0.5)  # the left brow is raised
    assert face.features[12:] == pytest.approx((0.5, 0.5))
    assert not any(face.features[i] for i in (2, 4, 5, 6, 7, 8, 9, 10, 11))


def test_the_points_are_its_66_and_no_pupils(sent, seen) -> None:
    """58 and 62 are the corners of its mouth, 59 to 61 and 63 to 65 the inner lips: facetracker.py's mirrored pairs."""
    (face,) = receive(sent(seen({}))[0])
    numbers = face.points[:, 0].astype(int).tolist()
    assert numbers[:48] == list(range(48))
    assert numbers[48:58] == [49, 50, 51, 52, 53, 55, 56, 57, 58, 59]
    assert numbers[58:66] == [60, 61, 62, 63, 64, 65, 66, 67]
    assert not face.points[66:].any()
    assert np.array_equal(face.points[:66, 1], 2 * face.points[:66, 0])


def test_eyes_look_ahead_and_nothing_else_is_made_up_in_3d(sent, seen) -> None:
    (face,) = receive(sent(seen({}))[0])
    assert not face.points_3d[:66].any()
    pupils, eyeballs = face.points_3d[66:68], face.points_3d[68:]
    assert np.allclose((pupils - eyeballs)[:, :2], 0)
    assert ((pupils - eyeballs)[:, 2] < 0).all()  # as sent, z is away from the camera


@pytest.mark.parametrize(
    ("pose", "expected"),
    [
        # What OpenSeeFace's 3D face and solvePnP, called as its tracker.py does, give for a camera of 640x640 pixels
        ((10, 0, 0), (0.708, 0.700, -0.056, -0.076)),
        ((20, 0, 0), (0.702, 0.688, -0.115, -0.141)),
        ((0, 15, 0), (0.702, 0.702, 0.087, -0.087)),
        ((0, 0, 20), (0.819, 0.574, 0.007, -0.010)),
        ((-15, 10, -10), (0.642, 0.750, 0.157, 0.024)),
    ],
)
def test_the_rotation_is_what_its_solver_gives(sent, seen, pose, expected) -> None:
    yaw, pitch, roll = map(float, pose)
    (face,) = receive(sent(seen({"pose": Pose(yaw=yaw, pitch=pitch, roll=roll)}))[0])
    assert face.quaternion == pytest.approx(expected, abs=0.022)


def test_facing_the_camera_the_receivers_angles_are_0(sent, seen) -> None:
    (face,) = receive(sent(seen({"pose": Pose(yaw=0.0, pitch=0.0, roll=0.0)}))[0])
    x, y, z = face.euler
    assert (-(x + 180) % 360, -y, (z - 90) % 360) == pytest.approx((0, 0, 0), abs=1e-4)


@pytest.mark.parametrize("pose", [(10, -20, 30), (-35, 5, -15), (2, 1, 3)])
def test_the_angles_are_opencvs_of_the_same_rotation(sent, seen, pose) -> None:
    yaw, pitch, roll = map(float, pose)
    (face,) = receive(sent(seen({"pose": Pose(yaw=yaw, pitch=pitch, roll=roll)}))[0])
    right, down, away = rotation(pose)
    one = np.array([down, right, -away])
    assert face.euler == pytest.approx(cv2.RQDecomp3x3(one)[0], abs=1e-3)


def test_faces_stand_one_after_another_and_those_not_seen_are_left_out(sent, seen) -> None:
    (packet,) = sent(seen({}, {"pose": None}, {"held": True}, {"score": 0.5}))
    assert [(face.number, face.confidence[0]) for face in receive(packet)] == [(0, 0.75), (1, 0.5)]
    assert sent(seen()) == []


def test_what_is_not_measured_is_as_openseeface_sends_it(sent, seen) -> None:
    (face,) = receive(sent(seen({"measures": None, "position": None}))[0])
    assert (face.eyes, face.translation) == ((1, 1), (0, 0, 0))
    assert not any(face.features)


def test_measures_beyond_its_range_are_bounded(sent, seen) -> None:
    wild = Measures(eye_open_left=2.0, eye_open_right=2.0, mouth_open=1.5, mouth_wide=0.2, brow_raise_left=3.0)
    (face,) = receive(sent(seen({"measures": wild}))[0])
    assert face.eyes == (1, 1)
    assert max(face.features) == 1
    assert min(face.features) == -1


def test_fifteen_points_are_refused_and_who_has_68_is_named(hello, capsys) -> None:
    with pytest.raises(StreamError, match=r"these are 15; --model keypoints68-int8$"):
        OpenSeeFaceSender(ADDRESS, lambda: hello)
    assert main(["run", "--source", "demo", "--stream", "openseeface://127.0.0.1:9", "--check"]) == 2
    assert "keypoints68-int8" in capsys.readouterr().err
