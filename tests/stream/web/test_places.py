"""How long, and how many, connections of the web server one peer can hold."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable, Iterator

import pytest

pytest.importorskip("aiohttp", reason="needs fkp-edge[web]")

from aiohttp import web

from fkp_edge.stream import WebAddress, connect
from fkp_edge.stream.web.server import WebLimits, WebServer

BODY = b"x" * 2**20


@pytest.fixture
def open_server() -> Iterator[Callable[..., WebServer]]:
    """Opens servers with a small page at `/` and a large one at `/large`."""

    async def small(request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def large(request: web.Request) -> web.Response:
        return web.Response(body=BODY)

    routes = [web.get("/", small), web.get("/large", large)]
    with contextlib.ExitStack() as stack:
        yield lambda **limits: stack.enter_context(
            WebServer(WebAddress("127.0.0.1", 0), routes, end=lambda: None, limits=WebLimits(**limits))
        )


@pytest.fixture
def plug() -> Iterator[Callable[..., socket.socket]]:
    """Connects a bare socket from `host`, and sends `data`."""
    with contextlib.ExitStack() as stack:

        def build(server: WebServer, data: bytes = b"", *, host: str = "127.0.0.1") -> socket.socket:
            sock = stack.enter_context(socket.socket())
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.settimeout(5)
            sock.bind((host, 0))
            sock.connect(("127.0.0.1", server.address.port))
            sock.sendall(data)
            return sock

        yield build


def get(path: str = "/", method: str = "GET", **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *(f"{k}: {v}" for k, v in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode()


def everything(sock: socket.socket) -> bytes:
    """What comes until the server closes."""
    found = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := sock.recv(2**16):
            found += chunk
    return found


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (get("/nope"), 404),
        (get("/", "OPTIONS"), 405),
        (get("/", Expect="nothing"), 417),
        (get("/"), 200),
        (b"nonsense\r\n\r\n", 400),
    ],
)
def test_every_answer_ends_its_connection(open_server, plug, request_, status):
    answer = everything(plug(open_server(), request_))
    assert b" %d " % status in answer.splitlines()[0]


def test_a_handshake_that_is_refused_ends_its_connection(open_sockets, plug):
    _, server = open_sockets()
    assert everything(plug(server, get("/"))).startswith(b"HTTP/1.1 400 ")


def test_a_method_that_is_not_allowed_says_which_are(open_server, plug):
    assert b"\r\nAllow: GET,HEAD\r\n" in everything(plug(open_server(), get("/", "DELETE")))


def test_an_answer_that_is_not_read_is_given_up(open_server, plug, eventually):
    server = open_server(request_s=0.2)
    sock = plug(server, get("/large"))
    eventually(lambda: server.clients == 1)
    eventually(lambda: server.clients == 0)
    assert len(everything(sock)) < len(BODY)


def test_a_body_beyond_the_limit_is_refused_by_its_length(open_server, plug):
    sock = plug(open_server(), get("/", "POST", **{"Content-Length": str(10**12)}))
    assert sock.recv(100).startswith(b"HTTP/1.1 413 ")


def test_one_address_takes_no_place_of_another(open_server, plug):
    server = open_server(clients=3, per_address=2)
    others = plug(server, b"GET /")
    for _ in range(10):
        plug(server, b"GET /", host="127.0.0.2")
    others.sendall(get()[5:])
    assert everything(others).startswith(b"HTTP/1.1 200 ")


def test_who_has_most_gives_way(open_server, plug):
    server = open_server(clients=3, per_address=2)
    alone = plug(server, b"GET /")
    pair = [plug(server, b"GET /", host="127.0.0.2") for _ in range(2)]
    assert everything(plug(server, get(), host="127.0.0.3")).startswith(b"HTTP/1.1 200 ")
    assert everything(pair[0]) == b""
    for sock in (alone, pair[1]):
        sock.sendall(get()[5:])
        assert everything(sock).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("limits", [{"clients": 2}, {"per_address": 2}])
def test_the_slowest_request_gives_way_to_a_new_one(open_server, plug, limits):
    server = open_server(**limits)
    oldest = plug(server, b"GET /")
    assert everything(plug(server, get())).startswith(b"HTTP/1.1 200 ")
    younger = plug(server, b"GET /")
    assert everything(plug(server, get())).startswith(b"HTTP/1.1 200 ")
    assert everything(oldest) == b""
    younger.sendall(get()[5:])
    assert everything(younger).startswith(b"HTTP/1.1 200 ")


def test_streams_do_not_give_way_and_leave_places_to_requests(open_sockets, plug, line):
    sockets, server = open_sockets(limits=WebLimits(clients=3, streams=1))
    with connect(str(server.address), reconnect=False) as client:
        next(client)
        headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        second = plug(server, get(**headers, **{"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA=="}))
        assert everything(second).startswith(b"HTTP/1.1 503 ")
        for _ in range(5):
            plug(server, b"GET /")
        sockets.publish(line(1))
        assert next(client).sequence == 1


def test_a_connection_that_is_reset_leaves_its_place(open_server, plug, eventually):
    server = open_server(clients=1)
    sock = plug(server, b"GET /")
    eventually(lambda: server.clients == 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
    eventually(lambda: server.clients == 0)
    assert everything(plug(server, get())).startswith(b"HTTP/1.1 200 ")
