from __future__ import annotations

import socket
import threading

import pytest

from fkp_edge.errors import StreamError
from fkp_edge.stream import Hello, LineServer, ObservationMessage, TcpAddress, connect, encode


def test_a_client_goes_on_when_the_server_comes_back(open_server, hello, line):
    server = open_server()
    server.publish(line(1))
    with connect(str(server.address)) as client:
        assert [type(next(client)) for _ in range(2)] == [Hello, ObservationMessage]
        server.close()
        with LineServer(TcpAddress("127.0.0.1", server.port), lambda: hello) as again:
            again.publish(line(2))
            assert next(client) == hello
            assert next(client).sequence == 2


def test_a_client_goes_on_after_a_line_cut_short(peer, hello):
    client = peer(encode(hello) + b'{"type":')
    client._reconnect_s = 5.0
    assert next(client) == hello
    closer = threading.Timer(0.2, client.close)
    closer.start()
    assert list(client) == []  # until it is closed
    closer.join()


def test_what_was_never_a_stream_is_not_tried_again(peer):
    client = peer(b"")
    client._reconnect_s = 5.0
    with pytest.raises(StreamError, match="closed the connection before its hello"):
        next(client)


def test_a_refusal_is_not_tried_again(open_server):
    server = open_server(max_clients=0)
    with connect(str(server.address)) as client, pytest.raises(StreamError, match="refused this client"):
        next(client)
    assert server.refused == 1


def test_a_first_connection_is_waited_for_where_asked(hello):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    opened = []
    timer = threading.Timer(0.3, lambda: opened.append(LineServer(TcpAddress("127.0.0.1", port), lambda: hello)))
    timer.start()
    with connect(f"tcp://127.0.0.1:{port}", wait_s=20) as client:
        assert next(client) == hello
    timer.join()
    opened[0].close()
    with pytest.raises(StreamError, match="nothing listens on"):
        connect(f"tcp://127.0.0.1:{port}", wait_s=0.1)


def test_a_lost_stream_is_given_up_in_time_and_that_is_said(open_server, line, caplog):
    server = open_server()
    server.publish(line(1))
    with connect(str(server.address), reconnect_s=0.3) as client:
        assert [type(next(client)) for _ in range(2)] == [Hello, ObservationMessage]
        server.close()
        with pytest.raises(StreamError, match=r"nothing listens on .*; gave up after 0.3 s"):
            next(client)
        assert "closed" in repr(client)
    assert "trying again for 0.3 s" in caplog.text
