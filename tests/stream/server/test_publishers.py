from __future__ import annotations

import contextlib
import socket

import msgspec
import pytest

from fkp_edge.errors import StreamError
from fkp_edge.stream import Pose, TcpAddress, UdpAddress, UnixAddress, connect
from fkp_edge.stream.protocol.address import OpentrackAddress, OscAddress
from fkp_edge.stream.server.publishers import Publishers


def test_all_get_what_is_published(hello, observe, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        udp = UdpAddress("127.0.0.1", free.getsockname()[1])
    addresses = [TcpAddress("127.0.0.1", 0), UnixAddress(str(tmp_path / "s")), udp]
    with Publishers(addresses, lambda: hello) as outputs:
        clients = [connect(str(address), timeout_s=2, reconnect=False) for address in outputs.addresses]
        outputs.publish(observe(1))
        assert [[next(client), next(client)] for client in clients] == [[hello, observe(1)]] * 3
        for client in clients:
            client.close()


def test_none_is_left_open_where_one_cannot_be_opened(hello, tmp_path):
    path = tmp_path / "s"
    with pytest.raises(StreamError, match="can be reached from other machines"):
        Publishers([UnixAddress(str(path)), TcpAddress("0.0.0.0", 0)], lambda: hello)
    assert not path.exists()


def test_programs_that_speak_something_else_get_it_too(hello, observe):
    pytest.importorskip("pythonosc", reason="needs fkp-edge[osc]")
    pose = Pose(yaw=1.0, pitch=2.0, roll=3.0)
    message = observe(1)
    message = msgspec.structs.replace(message, faces=(msgspec.structs.replace(message.faces[0], pose=pose),))
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(2)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(5)
        osc, opentrack = (sock.getsockname()[1] for sock in sockets)
        addresses = [OscAddress("127.0.0.1", osc), OpentrackAddress("127.0.0.1", opentrack)]
        stack.enter_context(Publishers(addresses, lambda: hello)).publish(message)
        bundle, pose_doubles = (sock.recv(65536) for sock in sockets)
    assert b"/fkp/frame" in bundle
    assert len(pose_doubles) == 48


def test_senders_alone_wait_for_nobody(hello):
    with Publishers([UdpAddress("127.0.0.1", 9)], lambda: hello) as outputs:
        assert outputs.are_served
        assert repr(outputs) == "<Publishers udp://127.0.0.1:9>"


def test_a_server_without_a_client_is_not_served(hello):
    with Publishers([TcpAddress("127.0.0.1", 0)], lambda: hello) as outputs:
        assert not outputs.are_served
