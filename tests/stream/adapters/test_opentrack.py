from __future__ import annotations

import struct

import msgspec
import pytest

from fkp_edge.stream import Pose
from fkp_edge.stream.adapters.heads import OpentrackSender
from fkp_edge.stream.protocol.address import OpentrackAddress

GOLDEN = bytes.fromhex(
    "000000000000000000000000000000000000000000000000000000000000254000000000000014c000000000000000c0"
)


@pytest.fixture
def datagrams(observe):
    """What is sent for an observation in which the first face has `pose`."""

    def build(pose: Pose | None, **fields: object) -> list[bytes]:
        message = observe(1, **fields)
        faces = tuple(msgspec.structs.replace(face, pose=pose) for face in message.faces)
        with OpentrackSender(OpentrackAddress("127.0.0.1", 9)) as sender:
            return list(sender.datagrams(msgspec.structs.replace(message, faces=faces)))

    return build


def test_the_pose_is_six_doubles_as_opentrack_counts_them(datagrams):
    """x, y, z; yaw 10.5 to the right, pitch 5 down, roll 2 to the left."""
    assert datagrams(Pose(yaw=-10.5, pitch=-5.0, roll=2.0)) == [GOLDEN]


def test_a_known_place_makes_it_six_degrees_of_freedom(datagrams, seen):
    """Right, up and away from the camera, in centimetres."""
    with OpentrackSender(OpentrackAddress("127.0.0.1", 9)) as sender:
        (datagram,) = sender.datagrams(seen({}))
    assert struct.unpack("<6d", datagram) == (6.1, 12.2, 61.0, -10.0, -20.0, -30.0)


def test_it_says_once_that_faces_come_without_a_pose(observe, caplog):
    with OpentrackSender(OpentrackAddress("127.0.0.1", 9)) as sender:
        for sequence in range(3):
            sender.publish(observe(sequence))
    assert [record.message for record in caplog.records] == [
        "opentrack://127.0.0.1:9 gets nothing: the faces of this source come without a pose"
    ]


def test_what_is_not_known_is_not_sent(datagrams):
    assert datagrams(None) == datagrams(None, faces=0) == []
    assert datagrams(Pose(yaw=1.0, pitch=1.0, roll=1.0), state="held") == []
