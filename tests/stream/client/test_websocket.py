"""The client's side of a WebSocket, at servers that are not fkp-edge."""

from __future__ import annotations

import asyncio
import threading

import pytest

pytest.importorskip("aiohttp", reason="needs fkp-edge[web]")

from aiohttp import WSCloseCode, web

from fkp_edge.errors import StreamError
from fkp_edge.stream import WebAddress, connect, encode
from fkp_edge.stream.client.transports import LostError, dial
from fkp_edge.stream.web.server import WebServer


@pytest.fixture
def speaking():
    """Opens a server whose WebSocket does what it is told; gives its address."""
    servers = []

    def build(act) -> WebAddress:
        async def answer(request: web.Request) -> web.WebSocketResponse:
            socket = web.WebSocketResponse()
            await socket.prepare(request)
            await act(socket)
            return socket

        servers.append(WebServer(WebAddress("127.0.0.1", 0), [web.get("/", answer)], end=lambda: None))
        return servers[-1].address

    yield build
    for server in servers:
        server.close()


def test_bytes_are_no_stream(speaking):
    with (
        connect(str(speaking(lambda socket: socket.send_bytes(b"{}"))), reconnect=False) as client,
        pytest.raises(StreamError, match="sent a binary message; expected JSON as text"),
    ):
        next(client)


def test_a_server_that_says_nothing_is_given_up(speaking):
    transport = dial(speaking(lambda _: asyncio.sleep(5)), token=None, timeout_s=0.3)
    with pytest.raises(LostError, match=r"nothing came from ws://.* for 0.3 s"):
        transport.next_line()
    transport.close()


def test_a_server_that_leaves_ends_the_lines(speaking):
    transport = dial(speaking(lambda socket: socket.close(code=WSCloseCode.GOING_AWAY)), token=None, timeout_s=5.0)
    assert transport.next_line() is None
    transport.close()


def test_a_closed_client_neither_reads_nor_sends(speaking, hello):
    transport = dial(speaking(lambda socket: socket.send_str(encode(hello).decode())), token=None, timeout_s=5.0)
    transport.close()
    transport.close()
    assert transport.next_line() is None
    with pytest.raises(LostError, match="it is closed; connect again"):
        transport.send(b"{}")


def test_a_server_that_is_no_websocket_is_named():
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    with (
        WebServer(WebAddress("127.0.0.1", 0), [web.get("/", answer)], end=lambda: None) as server,
        pytest.raises(StreamError, match="answered 200; expected a WebSocket of fkp-edge there"),
    ):
        connect(str(server.address), reconnect=False)


def test_questions_of_one_thread_and_reading_in_another_do_not_wait_for_each_other(speaking, eventually):
    """A question can come when a line has, and the reader's loop stands still until it reads again."""
    heard: list[str] = []

    async def answer(socket: web.WebSocketResponse) -> None:
        async for message in socket:
            heard.append(message.data)
            await socket.send_str("{}")

    transport = dial(speaking(answer), token=None, timeout_s=5.0)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.extend(iter(transport.next_line, None)))
    reader.start()
    for _ in range(2000):
        transport.send(b"{}")
    eventually(lambda: len(heard) == 2000)
    transport.close()
    reader.join(5)
    assert not reader.is_alive()
    assert read
