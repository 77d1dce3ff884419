"""The line server, TCP or Unix socket: JSON lines, the newest observation for everybody, a backlog for nobody.

It works on raw sockets instead of asyncio's streams, so that what a client can make the server hold is bounded by
construction (`line_client.py`), and hands a line to all clients in one turn, so that many cost the engine little.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

from fkp_edge.errors import StreamError
from fkp_edge.stream.address import TcpAddress, UnixAddress
from fkp_edge.stream.line_client import Limits, LineClient, Serving
from fkp_edge.stream.listening import bound_port, limit_buffers, listen, remove_socket_file
from fkp_edge.stream.messages import MAX_SERVER_LINE_BYTES, ErrorMessage, Hello, encode
from fkp_edge.stream.trust import check_reach

__all__ = ["LineServer"]

MAX_CLIENTS = 256
ACCEPT_PAUSE_S = 0.01
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
        self,
        address: TcpAddress | UnixAddress,
        hello: Callable[[], Hello],
        *,
        max_clients: int = MAX_CLIENTS,
        token: str | None = None,
        insecure: bool = False,
        limits: Limits | None = None,
    ) -> None:
        """Listens at once: clients can connect when this returns.

        Args:
            address: what to bind; port 0 takes a free one.
            hello: called for each client, on the server's thread; must return quickly.
            max_clients: those that come after are refused with an error line.
            token: what clients must send first; a Unix socket asks for none, its file is for its owner.
            insecure: allows to bind beyond loopback without a token: anybody on the network can watch.
            limits: how long a client may keep its place without doing its part.

        Raises:
            StreamError: the address cannot be bound, or is beyond loopback.
        """
        check_reach(address, token=token, insecure=insecure)
        self._listener = listen(address)
        self._address = (
            address if isinstance(address, UnixAddress) else replace(address, port=bound_port(self._listener))
        )
        self._max_clients = max_clients
        self._refused = 0
        self._clients: set[LineClient] = set()
        self._serving = Serving(
            hello=lambda: encode(hello()),
            newest=lambda: self._newest,
            gone=self._leave,
            token=None if isinstance(address, UnixAddress) else token,
            limits=limits or Limits(),
        )
        self._newest: tuple[int, bytes] = (0, b"")
        self._lock = threading.Lock()
        self._closed = False
        self._waking = False
        self._closing = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="fkp-edge-stream", daemon=True)
        self._thread.start()
        _log.info("listening on %s", self._address)

    @property
    def address(self) -> TcpAddress | UnixAddress:
        """Where it listens, with the port that was bound."""
        return self._address

    @property
    def port(self) -> int:
        """The port that was bound; of a Unix socket 0."""
        return 0 if isinstance(self._address, UnixAddress) else self._address.port

    @property
    def clients(self) -> int:
        """Clients connected now."""
        return len(self._clients)

    @property
    def refused(self) -> int:
        """Clients turned away so far: there were too many, or they sent what is no message."""
        return self._refused

    @property
    def is_served(self) -> bool:
        """Whether every client has the newest line."""
        number = self._newest[0]
        return all(client.has(number) for client in tuple(self._clients))

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
            if isinstance(self._address, UnixAddress):
                remove_socket_file(self._address.path)
            _log.info("closed %s", self._address)

    async def _serve(self) -> None:
        self._hear()
        await self._closing.wait()
        self._loop.remove_reader(self._listener)
        self._wake()
        end = self._loop.time() + FLUSH_S
        while not all(client.is_served for client in self._clients) and self._loop.time() < end:
            await asyncio.sleep(FLUSH_S / 20)
        for client in tuple(self._clients):
            client.close()

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
            self._loop.call_later(ACCEPT_PAUSE_S, self._hear)
            return
        sock.setblocking(False)
        if len(self._clients) >= self._max_clients:
            self._turn_away(sock)
            return
        limit_buffers(sock)
        _log.debug("client %d on %s", sock.fileno(), self._address)
        client = LineClient(sock, self._loop, self._serving)
        self._clients.add(client)
        client.start()

    def _turn_away(self, sock: socket.socket) -> None:
        self._refused += 1
        text = f"{self._max_clients} clients are connected to {self._address}; expected at most that many"
        with sock, contextlib.suppress(OSError):
            sock.send(encode(ErrorMessage(text=text)))

    def _leave(self, client: LineClient, reason: StreamError | OSError | None) -> None:
        self._clients.discard(client)
        self._refused += isinstance(reason, StreamError)
        if reason is not None:
            _log.debug("dropped a client of %s: %s", self._address, reason)

    def _wake(self) -> None:
        self._waking = False  # before `_newest` is read: a line published in between wakes once more
        number, line = self._newest
        for client in tuple(self._clients):
            client.offer(number, line)
