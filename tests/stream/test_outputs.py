from __future__ import annotations

import socket

import pytest

from fkp_edge.errors import StreamError
from fkp_edge.stream import TcpAddress, UdpAddress, UnixAddress, connect
from fkp_edge.stream.outputs import Outputs


def test_all_get_what_is_published(hello, observe, tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        udp = UdpAddress("127.0.0.1", free.getsockname()[1])
    addresses = [TcpAddress("127.0.0.1", 0), UnixAddress(str(tmp_path / "s")), udp]
    with Outputs(addresses, lambda: hello) as outputs:
        clients = [connect(str(address), timeout_s=2, reconnect=False) for address in outputs.addresses]
        outputs.publish(observe(1))
        assert [[next(client), next(client)] for client in clients] == [[hello, observe(1)]] * 3
        for client in clients:
            client.close()


def test_none_is_left_open_where_one_cannot_be_opened(hello, tmp_path):
    path = tmp_path / "s"
    with pytest.raises(StreamError, match="can be reached from other machines"):
        Outputs([UnixAddress(str(path)), TcpAddress("0.0.0.0", 0)], lambda: hello)
    assert not path.exists()
