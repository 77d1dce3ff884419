"""The TCP server: JSON lines, the newest observation for everybody, a backlog for nobody.

It works on raw sockets instead of asyncio's streams: `sock_sendall` keeps no line but the one in flight and `sock_recv`
takes no more than it is asked for, so that what a client can make the server hold is bounded by construction.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from fkp_edge.errors import StreamError
from fkp_edge.stream.address import TcpAddress
from fkp_edge.stream.lines import LineBuffer
from fkp_edge.stream.messages import (
    MAX_CLIENT_LINE_BYTES,
    MAX_SERVER_LINE_BYTES,
    ErrorMessage,
    Hello,
    Pong,
    decode_client,
    encode,
)

__all__ = ["LineServer"]

# What the kernel holds for a client that sleeps is stale when it wakes up. Linux doubles both SO_ sizes.
SEND_BUFFER_BYTES = 16 * 1024
UNSENT_BYTES = 4 * 1024
RECEIVE_BUFFER_BYTES = 4 * 1024

PACE_S = 0.01
"""Between two lines taken from one client: a flood of pings must cost the loop, and the camera's Python, little."""
LINGER_S = 1.0
"""How long a refused client has to read why."""
FLUSH_S = 0.2
"""How long `close` waits for the newest line to reach clients that read."""
JOIN_S = 5.0

_log = logging.getLogger(__name__)


class LineServer:
    """Serves JSON lines on `address` from a thread of its own, until closed.

    Each client gets a hello, then always the newest line published: one that reads slowly misses lines, and costs the
    others and the publisher nothing.
    """

    def __init__(
        self, address: TcpAddress, hello: Callable[[], Hello], *, max_clients: int = 64, insecure: bool = False
    ) -> None:
        """Listens at once: clients can connect when this returns.

        Args:
            address: what to bind; port 0 takes a free one.
            hello: called for each client, on the server's thread; must return quickly.
            max_clients: those that come after are refused with an error line.
            insecure: allows to bind beyond loopback, where anybody on the network can watch.

        Raises:
            StreamError: the address cannot be bound, or is beyond loopback.
        """
        if not (insecure or address.is_loopback):
            raise StreamError(
                f"{address} can be reached from other machines, and this version cannot ask them for a token; "
                "bind 127.0.0.1, or let anybody on the network watch with --insecure"
            )
        self._listener = _listen(address)
        self._address = TcpAddress(address.host, self._listener.getsockname()[1])
        self._hello = hello
        self._max_clients = max_clients
        self._refused = 0
        self._clients: set[asyncio.Task[None]] = set()
        self._newest: tuple[int, bytes] = (0, b"")
        self._lock = threading.Lock()
        self._closed = False
        self._waking = False
        self._fresh = asyncio.Event()
        self._closing = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fkp-edge-stream", daemon=True)
        self._thread.start()
        _log.info("listening on %s", self._address)

    @property
    def address(self) -> TcpAddress:
        """Where it listens, with the port that was bound."""
        return self._address

    @property
    def port(self) -> int:
        """The port that was bound."""
        return self._address.port

    @property
    def clients(self) -> int:
        """Clients connected now."""
        return len(self._clients)

    @property
    def refused(self) -> int:
        """Clients turned away so far: there were too many, or they sent what is no message."""
        return self._refused

    def publish(self, line: bytes) -> None:
        """Makes `line` (see `encode`) the newest. From any thread; never waits for a client; nothing once closed."""
        assert line.endswith(b"\n")
        assert len(line) <= MAX_SERVER_LINE_BYTES
        with self._lock:
            if self._closed:
                return
            self._newest = (self._newest[0] + 1, line)
            if not self._waking:  # at most one call waits in the loop, however fast lines come
                self._waking = True
                self._loop.call_soon_threadsafe(self._wake)

    def close(self) -> None:
        """Sends the newest line to clients that read, then disconnects all. Twice is fine.

        Raises:
            StreamError: the thread did not end.
        """
        with self._lock:
            if not self._closed:
                self._closed = True
                self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(JOIN_S)
        if self._thread.is_alive():
            raise StreamError(f"the thread that serves {self._address} did not end within {JOIN_S:g} s")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"open, {self.clients} clients"
        return f"<LineServer {self._address} {state}>"

    # All below runs on the server's thread.

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()
            self._listener.close()
            _log.info("closed %s", self._address)

    async def _serve(self) -> None:
        self._hear()
        await self._closing.wait()
        self._loop.remove_reader(self._listener)
        self._wake()
        clients = list(self._clients)
        if clients:
            await asyncio.wait(clients, timeout=FLUSH_S)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    def _hear(self) -> None:
        if not self._closing.is_set():
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError as error:
            # The client is gone already, or no file descriptor is left: then the loop would call again at once.
            _log.debug("cannot accept on %s: %s", self._address, error)
            self._loop.remove_reader(self._listener)
            self._loop.call_later(PACE_S, self._hear)
            return
        sock.setblocking(False)
        if len(self._clients) < self._max_clients:
            client = self._loop.create_task(self._attend(sock))
            self._clients.add(client)
            client.add_done_callback(self._clients.discard)
        else:
            self._turn_away(sock)

    def _turn_away(self, sock: socket.socket) -> None:
        self._refused += 1
        text = f"{self._max_clients} clients are connected to {self._address}; expected at most that many"
        with sock, contextlib.suppress(OSError):
            sock.send(encode(ErrorMessage(text=text)))

    async def _attend(self, sock: socket.socket) -> None:
        """One client, from hello until it leaves, misbehaves or the server closes."""
        _log.debug("client %d on %s", sock.fileno(), self._address)
        try:
            with sock:
                _limit_buffers(sock)
                client = _Client(sock, self._loop)
                await client.send(encode(self._hello()))
                async with asyncio.TaskGroup() as tasks:
                    listening = tasks.create_task(client.listen())
                    await self._follow(client)
                    listening.cancel()
        except* StreamError as refusals:
            self._refused += 1
            _log.debug("refused a client on %s: %s", self._address, refusals.exceptions[0])
        except* OSError as losses:
            _log.debug("lost a client on %s: %s", self._address, losses.exceptions[0])

    async def _follow(self, client: _Client) -> None:
        """Sends `client` the newest line each time that there is another one."""
        seen = 0
        while True:
            number, line = self._newest
            if number != seen:
                await client.send(line)
                seen = number
            elif self._closing.is_set():
                return
            else:
                await self._fresh.wait()

    def _wake(self) -> None:
        self._waking = False  # before clients read `_newest`: a line published in between wakes them again
        fresh, self._fresh = self._fresh, asyncio.Event()
        fresh.set()


class _Client:
    """One connection, on the server's loop. Lines are sent whole, one at a time."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        self._sock = sock
        self._loop = loop
        self._sending = asyncio.Lock()
        self._received = LineBuffer(MAX_CLIENT_LINE_BYTES)

    async def send(self, line: bytes) -> None:
        """Waits for the kernel to take all of `line`: nothing else is kept for this client meanwhile."""
        async with self._sending:
            await self._loop.sock_sendall(self._sock, line)
        await asyncio.sleep(0)  # sock_sendall does not yield while the kernel takes everything

    async def listen(self) -> None:
        """Answers pings, each before it reads on, until the client will send no more; it may still want to read.

        Raises:
            StreamError: the client sent something else, and has been told so.
        """
        try:
            while line := await self._next_line():
                ping = decode_client(line)
                await self.send(encode(Pong(client_ns=ping.client_ns, server_ns=time.monotonic_ns())))
                await asyncio.sleep(PACE_S)
        except StreamError as error:
            await self._refuse(str(error))
            raise

    async def _next_line(self) -> bytes | None:
        while (line := self._received.next_line()) is None:
            chunk = await self._loop.sock_recv(self._sock, MAX_CLIENT_LINE_BYTES)
            if not chunk and not self._received:
                return None
            self._received.feed(chunk or b"\n")  # at the end an unfinished line is judged as it is
        return line

    async def _refuse(self, text: str) -> None:
        """Says what was wrong, then takes input for a moment: closing over unread bytes would reset the connection,
        and some systems then throw the error line away."""
        with contextlib.suppress(OSError):  # the time is up, or the client is gone
            async with asyncio.timeout(LINGER_S), self._sending:
                await self._loop.sock_sendall(self._sock, encode(ErrorMessage(text=text)))
                self._sock.shutdown(socket.SHUT_WR)
                while await self._loop.sock_recv(self._sock, MAX_CLIENT_LINE_BYTES):
                    await asyncio.sleep(PACE_S)


def _listen(address: TcpAddress) -> socket.socket:
    try:
        family, _, _, _, place = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as error:
        raise _bind_error(address, error) from error
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Accepted sockets inherit it; set later it would not bound the window that the client was told.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        listener.bind(place)
        listener.listen()
    except OSError as error:
        listener.close()
        raise _bind_error(address, error) from error
    return listener


def _bind_error(address: TcpAddress, error: OSError) -> StreamError:
    if error.errno == errno.EADDRINUSE:
        other = TcpAddress(address.host, 0)
        return StreamError(
            f"port {address.port} on {address.host} is in use; stop the program that listens there "
            f"(another fkp-edge run?) or name another port with --stream {str(other)[:-1]}PORT"
        )
    reason = error.strerror or str(error)
    return StreamError(f"cannot listen on {address}: {reason}; expected an address of this machine, a port above 1023")


def _limit_buffers(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT_BYTES)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
