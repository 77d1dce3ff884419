from __future__ import annotations

import contextlib
import json
import socket
import threading
import urllib.request

import msgspec
import pytest

pytest.importorskip("aiohttp", reason="needs fkp-edge[web]")

from aiohttp import web

from fkp_edge.errors import StreamError
from fkp_edge.stream import Pong, WebAddress, connect, encode
from fkp_edge.stream.web import LineSockets
from fkp_edge.stream.web.server import READ_BYTES, WebLimits, WebServer

TOKEN = "0123456789abcdef"


def test_hello_comes_first_then_every_line(open_sockets, hello, observe):
    sockets, server = open_sockets()
    with connect(str(server.address), reconnect=False) as client:
        assert next(client) == hello
        for sequence in range(100):
            sockets.publish(encode(observe(sequence)))
            assert next(client) == observe(sequence)


def test_a_burst_ends_with_the_newest_in_order(open_sockets, line):
    sockets, server = open_sockets()
    with connect(str(server.address), reconnect=False) as client:
        next(client)
        for sequence in range(1000):
            sockets.publish(line(sequence))
        seen = [next(client).sequence]
        while seen[-1] != 999:
            seen.append(next(client).sequence)
    assert seen == sorted(set(seen))


def test_a_client_that_slept_finds_little_that_is_stale(open_sockets, line):
    sockets, server = open_sockets()
    with connect(str(server.address)) as asleep, connect(str(server.address)) as reader:
        next(asleep), next(reader)
        for sequence in range(2000):
            sockets.publish(line(sequence, faces=2))
            assert next(reader).sequence == sequence
        size = 0
        for data in asleep.lines():
            size += len(data)
            if b'"sequence":1999,' in data:
                break
    assert size <= 64 * 1024


def test_a_ping_gets_both_clocks(open_sockets):
    _, server = open_sockets()
    with connect(str(server.address)) as client:
        next(client)
        client.ping()
        pong = next(client)
        assert isinstance(pong, Pong)
        assert 0 < pong.client_ns <= pong.server_ns


def test_closing_sends_the_newest_line_then_ends(open_sockets, line):
    sockets, server = open_sockets()
    with connect(str(server.address), reconnect=False) as client:
        next(client)
        sockets.publish(line(1))
        server.close()
        server.close()
        assert [message.sequence for message in client] == [1]
    assert repr(server) == f"<WebServer {server.address} closed>"
    sockets.publish(line(2))


def test_a_client_goes_on_when_the_server_comes_back(open_sockets, hello):
    _, server = open_sockets()
    with connect(str(server.address)) as client:
        next(client)
        server.close()
        open_sockets(WebAddress("127.0.0.1", server.address.port))
        assert next(client) == hello


def test_closing_ends_an_iteration_in_another_thread(open_sockets):
    _, server = open_sockets()
    client = connect(str(server.address))
    next(client)
    ended = threading.Thread(target=lambda: list(client))
    ended.start()
    client.close()
    client.close()
    ended.join(5)
    assert not ended.is_alive()
    with pytest.raises(StreamError, match="it is closed"):
        client.ping()


def test_nothing_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(StreamError, match=rf"nothing listens on ws://127.0.0.1:{port} \(connection refused\)"):
        connect(f"ws://127.0.0.1:{port}")


def test_another_path_is_no_stream(open_sockets):
    _, server = open_sockets()
    with pytest.raises(StreamError, match="answered 404; expected a WebSocket"):
        connect(f"{server.address}/none")


def test_the_token_opens_the_stream(open_sockets, hello):
    _, server = open_sockets(token=TOKEN)
    with connect(str(server.address), token=TOKEN) as client:
        assert next(client) == hello
    for token in (None, "wrong"):
        with pytest.raises(StreamError, match="asks for a token; expected the one of its --token-file"):
            connect(str(server.address), token=token)


def test_beyond_loopback_is_refused(open_sockets):
    with pytest.raises(StreamError, match=r"ws://0.0.0.0:0 can be reached from other machines"):
        open_sockets(WebAddress("0.0.0.0", 0))


def shake_hands(server, **headers: str) -> socket.socket:
    """A bare socket after the request of a WebSocket."""
    sock = socket.create_connection(("127.0.0.1", server.address.port), timeout=5)
    lines = {
        "Host": f"127.0.0.1:{server.address.port}",
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    request = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    sock.sendall(f"GET / HTTP/1.1\r\n{request}\r\n".encode())
    return sock


def answer(sock: socket.socket) -> str:
    with sock, sock.makefile("rb") as file:
        return file.readline().decode()


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "[::1", ""])
def test_another_hosts_name_is_refused(open_sockets, host):
    _, server = open_sockets()
    assert answer(shake_hands(server, Host=host)).startswith("HTTP/1.1 40")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:80", "192.168.1.7", socket.gethostname()]
)
def test_this_device_by_address_or_name_is_answered(open_sockets, host):
    _, server = open_sockets()
    assert answer(shake_hands(server, Host=host)) == "HTTP/1.1 101 Switching Protocols\r\n"


def test_a_page_from_elsewhere_is_refused_unless_it_has_the_token(open_sockets):
    _, open_server = open_sockets()
    assert answer(shake_hands(open_server, Origin="http://evil.example")).startswith("HTTP/1.1 403")
    assert answer(shake_hands(open_server, Origin="null")).startswith("HTTP/1.1 403")
    _, guarded = open_sockets(token=TOKEN)
    sock = shake_hands(guarded, Origin="http://other.example", Authorization=f"Bearer {TOKEN}")
    assert answer(sock).startswith("HTTP/1.1 101")


def test_the_devices_own_page_is_answered(open_sockets):
    _, server = open_sockets()
    origin = f"http://127.0.0.1:{server.address.port}"
    assert answer(shake_hands(server, Origin=origin)).startswith("HTTP/1.1 101")


@pytest.mark.parametrize("key", ["", "AAAA", "\xff" * 24, "é"])
def test_a_handshake_that_is_none_is_a_bad_request_and_no_word_in_the_log(open_sockets, caplog, key):
    _, server = open_sockets()
    with socket.create_connection(("127.0.0.1", server.address.port), timeout=5) as sock:
        head = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        head += "Sec-WebSocket-Version: 13"
        sock.sendall(f"{head}\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode("latin-1"))
        assert sock.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert caplog.records == []


def frame(payload: bytes, opcode: int = 1) -> bytes:
    """A WebSocket frame of a client, masked with zeros."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2)
    return bytes([0x80 | opcode]) + size + bytes(4) + payload


def frames(sock: socket.socket) -> list[bytes]:
    """The payloads of all frames until the server closes."""
    found = []
    with sock, sock.makefile("rb") as file:
        while file.readline() != b"\r\n":
            pass
        while head := file.read(2):
            size = head[1] if head[1] < 126 else int.from_bytes(file.read(2))
            found.append(file.read(size))
    return found


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (frame(b"garbage"), "b'garbage' is not understood"),
        (frame(b'{"type":"pong","client_ns":1,"server_ns":1}'), "is not for a client to send"),
        (frame(b"x", opcode=2), "a binary message came; expected one JSON object as text"),
    ],
)
def test_what_is_no_message_gets_an_error_and_the_end(open_sockets, data, text):
    _, server = open_sockets()
    sock = shake_hands(server)
    sock.sendall(data)
    hello, error, _ = frames(sock)
    assert json.loads(hello)["type"] == "hello"
    assert text in json.loads(error)["text"]


@pytest.mark.parametrize("data", [frame(b"x" * 2000), frame(b"\xff\xfe"), b"\xff" * 50, b"\x81\xff" + b"\xff" * 20])
def test_frames_that_cannot_be_end_the_connection_and_nothing_else(open_sockets, line, data):
    sockets, server = open_sockets()
    with connect(str(server.address)) as reader:
        next(reader)
        sock = shake_hands(server)
        sock.sendall(data)
        frames(sock)  # until the server closes
        sockets.publish(line(1))
        assert next(reader).sequence == 1


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("before", [b"", frame(b'{"type":"ping","client_ns":1}'), frame(bytes(126), opcode=9)])
def test_a_frame_without_a_mask_ends_the_connection(open_sockets, together, before):
    _, server = open_sockets()
    sock = shake_hands(server)
    data = before + b'\x81\x1d{"type":"ping","client_ns":7}'
    for piece in [data] if together else [data[i : i + 1] for i in range(len(data))]:
        with contextlib.suppress(OSError):
            sock.sendall(piece)
    found = frames(sock)
    assert found[-1][:2] == (1002).to_bytes(2)  # protocol error
    assert not any(b'"client_ns":7' in payload for payload in found)


def test_a_client_too_many_is_turned_away(open_sockets, eventually):
    _, server = open_sockets(limits=WebLimits(clients=1))
    with connect(str(server.address)) as first:
        next(first)
        assert answer(shake_hands(server)).startswith("HTTP/1.1 503")
        assert (server.clients, server.refused) == (1, 1)
    eventually(lambda: "101" in answer(shake_hands(server)))


def test_half_a_request_does_not_keep_its_place(open_sockets):
    _, server = open_sockets(limits=WebLimits(request_s=0.05))
    with socket.create_connection(("127.0.0.1", server.address.port), timeout=5) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: ")
        assert sock.recv(100) == b""


def test_a_client_outlives_the_time_for_requests(open_sockets, line):
    sockets, server = open_sockets(limits=WebLimits(request_s=0.05))
    with connect(str(server.address), reconnect=False) as client:
        next(client)
        waited = threading.Event()
        waited.wait(0.2)
        sockets.publish(line(1))
        assert next(client).sequence == 1


def test_the_kernel_is_asked_for_little_at_a_time():
    """By a name that asyncio does not document: a Python that renames it is to be noticed here."""
    asked = []

    async def answer(request: web.Request) -> web.Response:
        asked.append((request.transport.max_size, type(request.transport).max_size))
        return web.Response()

    with WebServer(WebAddress("127.0.0.1", 0), [web.get("/", answer)], end=lambda: None) as server:
        urllib.request.urlopen(f"http://{server.address.place}/", timeout=10).close()
    assert asked == [(READ_BYTES, 256 * 1024)]


def test_a_client_before_the_first_frame_learns_its_size(hello, line):
    size = [None]
    sockets = LineSockets(lambda: msgspec.structs.replace(hello, frame_size=size[0]))
    with (
        WebServer(WebAddress("127.0.0.1", 0), sockets.routes("/"), end=sockets.close) as server,
        connect(str(server.address)) as client,
    ):
        assert next(client).frame_size is None
        size[0] = (640, 480)
        sockets.publish(line(1))
        assert [next(client).frame_size, next(client).sequence] == [(640, 480), 1]
        sockets.publish(line(2))
        assert next(client).sequence == 2
