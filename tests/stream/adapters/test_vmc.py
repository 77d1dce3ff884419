"""VMC as docs/english.markdown of sh-akira/VirtualMotionCaptureProtocol (083e33f950c0) defines it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("pythonosc", reason="needs fkp-edge[osc]")

from pythonosc.osc_bundle import OscBundle

from fkp_edge.stream import Measures, ObservationMessage, Pose
from fkp_edge.stream.adapters.osc import VmcSender
from fkp_edge.stream.protocol.address import VmcAddress


@pytest.fixture
def sent() -> Callable[[ObservationMessage], list[bytes]]:
    def build(message: ObservationMessage) -> list[bytes]:
        with VmcSender(VmcAddress("127.0.0.1", 9)) as sender:
            return list(sender.datagrams(message))

    return build


def padded(text: str) -> bytes:
    return text.encode() + b"\0" * (4 - len(text) % 4)


def message(address: str, *values: object) -> bytes:
    """An OSC 1.0 message, written by hand: address, type tags, arguments."""
    tags = "," + "".join({str: "s", int: "i", float: "f"}[type(value)] for value in values)
    coded = (
        padded(value) if isinstance(value, str) else np.array(value, ">i4" if type(value) is int else ">f4").tobytes()
        for value in values
    )
    return padded(address) + padded(tags) + b"".join(coded)


def bundle(*parts: bytes) -> bytes:
    return b"#bundle\0" + b"\0" * 7 + b"\1" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)


def test_a_face_is_one_bundle_byte_for_byte(sent, seen) -> None:
    right = {"pose": Pose(yaw=-60.0, pitch=0.0, roll=0.0)}
    assert sent(seen(right)) == [
        bundle(
            message("/VMC/Ext/OK", 1),
            message("/VMC/Ext/T", 0.0),
            message("/VMC/Ext/Bone/Pos", "Head", 0.0, 0.0, 0.0, 0.0, 0.5, 0.0, 0.75**0.5),
            message("/VMC/Ext/Blend/Val", "Blink_L", 0.0),
            message("/VMC/Ext/Blend/Val", "Blink_R", 1.0),
            message("/VMC/Ext/Blend/Val", "A", 0.5),
            message("/VMC/Ext/Blend/Val", "Joy", 0.5),
            message("/VMC/Ext/Blend/Apply"),
        )
    ]


def quaternion(datagram: bytes) -> np.ndarray:
    bone = next(part for part in OscBundle(datagram) if part.address == "/VMC/Ext/Bone/Pos")
    assert bone.params[:4] == ["Head", 0.0, 0.0, 0.0]
    return np.array(bone.params[4:])


def turned(q: np.ndarray, vector: tuple[float, float, float]) -> np.ndarray:
    """`vector` turned by the quaternion x, y, z, w, as Unity's `q * v` does."""
    axis, w = q[:3], q[3]
    return vector + 2 * np.cross(axis, np.cross(axis, vector) + w * np.array(vector))


AHEAD, RIGHT = (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)
"""The avatar's, in Unity's axes: y is up."""


@pytest.mark.parametrize(
    ("pose", "vector", "axis", "sign"),
    [
        ({"yaw": 30.0, "pitch": 0.0, "roll": 0.0}, AHEAD, 0, -1),  # to its left
        ({"yaw": 0.0, "pitch": 30.0, "roll": 0.0}, AHEAD, 1, 1),  # up
        ({"yaw": 0.0, "pitch": 0.0, "roll": 30.0}, RIGHT, 1, 1),  # its right ear up, to the left shoulder
    ],
)
def test_the_head_turns_where_the_subject_turns_it(sent, seen, pose, vector, axis, sign) -> None:
    (datagram,) = sent(seen({"pose": Pose(**pose)}))
    assert turned(quaternion(datagram), vector)[axis] == pytest.approx(sign * 0.5, abs=1e-4)


def test_turns_are_rolled_first_then_pitched_then_yawed(sent, seen) -> None:
    (datagram,) = sent(seen({"pose": Pose(yaw=90.0, pitch=45.0, roll=0.0)}))
    assert turned(quaternion(datagram), AHEAD) == pytest.approx([-(0.5**0.5), 0.5**0.5, 0], abs=1e-4)


def test_what_is_not_measured_is_not_sent(sent, seen) -> None:
    (datagram,) = sent(seen({"measures": Measures(mouth_open=0.1)}))
    names = [part.params[0] for part in OscBundle(datagram) if part.address == "/VMC/Ext/Blend/Val"]
    assert names == ["A"]
    (datagram,) = sent(seen({"measures": None}))
    assert [part.address for part in OscBundle(datagram)][-1] == "/VMC/Ext/Bone/Pos"


@pytest.mark.parametrize("change", [{"pose": None}, {"held": True}])
def test_a_face_that_is_not_seen_is_not_sent(sent, seen, change) -> None:
    assert sent(seen(change)) == sent(seen()) == []


def test_time_counts_from_the_first_face(seen) -> None:
    with VmcSender(VmcAddress("127.0.0.1", 9)) as sender:
        for second in (5, 7):
            (datagram,) = sender.datagrams(seen({}, captured_ns=second * 10**9))
    assert next(part for part in OscBundle(datagram) if part.address == "/VMC/Ext/T").params == [2.0]
