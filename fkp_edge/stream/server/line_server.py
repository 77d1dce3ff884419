"""The line server, TCP or Unix socket: JSON lines, the newest observation for everybody, a backlog for nobody.

It works on raw sockets instead of asyncio's streams, so that what a client can make the server hold is bounded by
construction (`line_client.py`), and hands a line to all clients in one turn, so that many cost the engine little.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable

from fkp_edge.errors import StreamError
from fkp_edge.stream.protocol.address import TcpAddress, UnixAddress
from fkp_edge.stream.protocol.messages import MAX_SERVER_LINE_BYTES, ErrorMessage, Hello, encode, without_clock
from fkp_edge.stream.server.base import AcceptingServer
from fkp_edge.stream.server.connection import Limits, LineClient, Serving

__all__ = ["LineServer"]

MAX_CLIENTS = 256
FLUSH_S = 0.2
"""How long `close` waits for the newest line to reach clients that read."""

_log = logging.getLogger(__name__)


class LineServer(AcceptingServer[TcpAddress | UnixAddress]):
    """Serves JSON lines on `address` from a thread of its own, until closed: then clients that read get the newest.

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
            hello: called for each client and line, on the server's thread; must return quickly.
            max_clients: those that come after are refused with an error line.
            token: what clients must send first; a Unix socket asks for none, its file's mode says who may.
            insecure: allows to bind beyond loopback without a token: anybody on the network can watch.
            limits: how long a client may keep its place without doing its part.

        Raises:
            StreamError: the address cannot be bound, or is beyond loopback.
        """
        super().__init__(address, thread="fkp-edge-stream", token=token, insecure=insecure)
        self._most = max_clients
        self._clients: set[LineClient] = set()
        self._serving = Serving(
            hello=hello,
            said=lambda: self._said,
            newest=lambda: self._newest,
            gone=self._leave,
            token=None if isinstance(address, UnixAddress) else token,
            limits=limits or Limits(),
        )
        self._newest: tuple[int, bytes] = (0, b"")
        self._said: Hello | None = None
        self._waking = False
        self._start()

    @property
    def port(self) -> int:
        """The port that was bound; of a Unix socket 0."""
        return 0 if isinstance(self._address, UnixAddress) else self._address.port

    @property
    def clients(self) -> int:
        """Clients connected now."""
        return len(self._clients)

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

    # All below runs on the server's thread.

    def _has_place(self, host: str) -> bool:  # noqa: ARG002 - one interface for all servers
        return len(self._clients) < self._most

    def _welcome(self, sock: socket.socket, host: str) -> None:  # noqa: ARG002
        _log.debug("client %d on %s", sock.fileno(), self._address)
        client = LineClient(sock, self._loop, self._serving)
        self._clients.add(client)
        client.start()

    def _full(self) -> bytes:
        text = f"{self._most} clients are connected to {self._address}; expected at most that many"
        return encode(ErrorMessage(text=text))

    async def _end(self) -> None:
        self._wake()
        end = self._loop.time() + FLUSH_S
        while not all(client.is_served for client in self._clients) and self._loop.time() < end:
            await asyncio.sleep(FLUSH_S / 20)
        for client in tuple(self._clients):
            client.close()

    def _leave(self, client: LineClient, reason: StreamError | OSError | None) -> None:
        self._clients.discard(client)
        self._refused += isinstance(reason, StreamError)
        if reason is not None:
            _log.debug("dropped a client of %s: %s", self._address, reason)

    def _wake(self) -> None:
        self._waking = False  # before `_newest` is read: a line published in between wakes once more
        number, line = self._newest
        said = without_clock(self._serving.hello())
        if said != self._said:
            self._said = said
        for client in tuple(self._clients):
            client.offer(number, line)
