from __future__ import annotations

import threading

import msgspec
import pytest

pytest.importorskip("pythonosc", reason="needs fkp-edge[osc]")

from pythonosc.dispatcher import Dispatcher
from pythonosc.osc_server import BlockingOSCUDPServer

from fkp_edge.stream import Measures, Pose
from fkp_edge.stream.adapters.osc import OscSender
from fkp_edge.stream.protocol.address import OscAddress


@pytest.fixture
def received(hello):
    """What a real OSC server gets of an observation: address -> values."""

    def exchange(message) -> dict[str, list]:
        found: dict[str, list] = {}
        dispatcher = Dispatcher()
        dispatcher.set_default_handler(lambda address, *values: found.update({address: list(values)}))
        with BlockingOSCUDPServer(("127.0.0.1", 0), dispatcher) as server:
            serving = threading.Thread(target=server.handle_request)
            serving.start()
            with OscSender(OscAddress("127.0.0.1", server.server_address[1]), lambda: hello) as sender:
                sender.publish(message)
            serving.join(5)
        return found

    return exchange


def test_a_server_gets_every_face(received, observe):
    message = observe(7, faces=2)
    pose = Pose(yaw=1.5, pitch=-2.0, roll=0.5)
    message = msgspec.structs.replace(
        message, faces=(message.faces[0], msgspec.structs.replace(message.faces[1], pose=pose))
    )
    found = received(message)
    assert found["/fkp/frame"] == [7, 640, 480]
    assert (found["/fkp/state"], found["/fkp/faces"]) == (["tracking"], [2])
    assert found["/fkp/face/0"] == [1, pytest.approx(0.987)]
    assert found["/fkp/face/1/box"] == [1.5, 2.5, 200.25, 200.25]
    assert found["/fkp/face/1/points"] == pytest.approx([123.45, 234.56] * 15)
    assert found["/fkp/face/1/pose"] == [1.5, -2.0, 0.5]
    assert "/fkp/face/0/pose" not in found


def test_measures_and_the_place_are_sent_where_they_are_known(received, seen):
    found = received(seen({"measures": Measures(smile=0.5, blinks=2)}))
    assert (found["/fkp/face/0/smile"], found["/fkp/face/0/blinks"]) == ([0.5], [2])
    assert found["/fkp/face/0/position"] == pytest.approx([6.1, -12.2, 61.0])
    assert "/fkp/face/0/mouth_open" not in found


def test_no_face_is_said_too(received, observe):
    assert set(received(observe(7, faces=0, state="searching"))) == {"/fkp/frame", "/fkp/state", "/fkp/faces"}
