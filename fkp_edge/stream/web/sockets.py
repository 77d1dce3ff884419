"""WebSockets that carry the line protocol: the same JSON, one object a text message."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Generic, TypeVar

from aiohttp import WSMsgType, web

from fkp_edge.errors import StreamError
from fkp_edge.stream.protocol.messages import (
    MAX_CLIENT_LINE_BYTES,
    MAX_SERVER_LINE_BYTES,
    ErrorMessage,
    Hello,
    Ping,
    Pong,
    decode_client,
    encode,
    without_clock,
)

__all__ = ["LineSockets", "Newest", "Peer"]

T = TypeVar("T")


class Newest(Generic[T]):
    """The newest of the values that were put. Who waits gets the newest, never those in between."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entry: tuple[int, T | None] = (0, None)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fresh: asyncio.Event | None = None
        self._waking = False
        self._closed = False

    @property
    def number(self) -> int:
        """Of the newest value; 0 before the first."""
        return self._entry[0]

    def put(self, value: T) -> None:
        """From any thread; waits for nobody. Nothing once closed."""
        with self._lock:
            if self._closed:
                return
            self._entry = (self._entry[0] + 1, value)
            if self._loop is not None and not self._waking:  # at most one call waits in the loop
                self._waking = True
                self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """Nothing new will come; who waits is told. On the loop's thread."""
        with self._lock:
            self._closed = True
        self._wake()

    async def after(self, number: int) -> tuple[int, T | None]:
        """The newest value and its number, once that is another than `number`; `None` where no other will come."""
        with self._lock:
            self._loop = asyncio.get_running_loop()
        while self._entry[0] == number and not self._closed:
            if self._fresh is None:
                self._fresh = asyncio.Event()
            await self._fresh.wait()
        return self._entry if self._entry[0] != number else (number, None)

    def _wake(self) -> None:
        self._waking = False  # before `_entry` is read: a value put in between wakes once more
        fresh, self._fresh = self._fresh, None
        if fresh is not None:
            fresh.set()


PACE_S = 0.01
"""Between two messages taken from one client: a flood must cost the loop, and the camera's Python, little."""
STALL_S = 30.0
"""How long a client may take nothing of what waits for it."""
CLOSE_S = 1.0
"""How long a client has to agree to the end."""
POLICY = 1008
"""WebSocket's code for a peer that broke the rules."""


class Peer:
    """One WebSocket: sends wait until the kernel has taken everything, so that nothing piles up."""

    def __init__(self) -> None:
        # writer_limit: aiohttp asks the transport whether to wait after that many bytes
        self.socket = web.WebSocketResponse(
            autoping=False, compress=False, max_msg_size=MAX_CLIENT_LINE_BYTES, writer_limit=1, timeout=CLOSE_S
        )

    async def open(self, request: web.Request) -> None:
        """Shakes hands.

        Raises:
            HTTPException: the request asks for no WebSocket.
        """
        try:
            await self.socket.prepare(request)
        except ValueError as error:  # aiohttp 3.14: characters beyond ASCII in its headers
            raise web.HTTPBadRequest(text="expected the handshake of a WebSocket\n") from error

    async def send(self, data: str | bytes) -> None:
        """Text, or bytes as a binary message.

        Raises:
            ConnectionError: the peer is gone, or has taken nothing for `STALL_S`.
        """
        try:
            async with asyncio.timeout(STALL_S):
                if isinstance(data, str):
                    await self.socket.send_str(data)
                else:
                    await self.socket.send_bytes(data)
        except TimeoutError:
            raise ConnectionError(f"it took nothing for {STALL_S:g} s") from None

    async def serve(self, sending: Coroutine[None, None, None]) -> None:
        """Runs `sending` and answers pings meanwhile, until the peer leaves, breaks the rules or `sending` ends."""
        tasks = [asyncio.create_task(self._listen()), asyncio.create_task(sending)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.suppress(ConnectionError):
            for error in results:
                if isinstance(error, StreamError):
                    await self.send(encode(ErrorMessage(text=str(error))).decode())
                    await self.socket.close(code=POLICY)
            await self.socket.close()

    async def _listen(self) -> None:
        async for message in self.socket:
            if message.type is WSMsgType.PING:
                await self.socket.pong(message.data)
            elif message.type is WSMsgType.TEXT:
                ping = decode_client(message.data.encode())
                if isinstance(ping, Ping):
                    await self.send(encode(Pong(client_ns=ping.client_ns, server_ns=time.monotonic_ns())).decode())
            elif message.type is WSMsgType.BINARY:
                raise StreamError("a binary message came; expected one JSON object as text")
            await asyncio.sleep(PACE_S)


class LineSockets:
    """The handler of a route, and what it sends."""

    def __init__(self, hello: Callable[[], Hello]) -> None:
        """`hello` is called for each client and line, on the server's thread."""
        self._newest: Newest[str] = Newest()
        self._hello = hello
        self._seen: dict[Peer, int] = {}

    def close(self) -> None:
        """Ends all clients, once they have the newest line. On the server's thread."""
        self._newest.close()

    @property
    def clients(self) -> int:
        """Clients connected now."""
        return len(self._seen)

    @property
    def is_served(self) -> bool:
        """Whether every client has the newest line."""
        return all(number == self._newest.number for number in tuple(self._seen.values()))

    def publish(self, line: bytes) -> None:
        """Makes `line` the newest. From any thread; never waits for a client."""
        assert len(line) <= MAX_SERVER_LINE_BYTES
        self._newest.put(line.decode())

    def routes(self, path: str) -> list[web.RouteDef]:
        """To serve at `path`."""
        return [web.get(path, self.handle)]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One client, until it leaves."""
        peer = Peer()
        await peer.open(request)
        self._seen[peer] = 0
        try:
            await peer.serve(self._send_all(peer))
        finally:
            del self._seen[peer]
        return peer.socket

    async def _send_all(self, peer: Peer) -> None:
        told = await self._greet(peer, None)
        number = 0
        while True:
            number, text = await self._newest.after(number)
            if text is None:
                return
            told = await self._greet(peer, told)
            await peer.send(text)
            self._seen[peer] = number

    async def _greet(self, peer: Peer, told: Hello | None) -> Hello:
        """Says hello where what it says is not what was `told`; gives what the client knows now."""
        hello = self._hello()
        said = without_clock(hello)
        if said != told:
            await peer.send(encode(hello).decode())
        return said
