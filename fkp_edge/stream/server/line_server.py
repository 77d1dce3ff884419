"""The line server for TCP and Unix sockets, and the sender of datagrams."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from fkp_edge.core.files import Closing
from fkp_edge.errors import StreamError
from fkp_edge.stream.protocol.address import TcpAddress, UdpAddress, UnixAddress
from fkp_edge.stream.protocol.datagrams import encode_datagram
from fkp_edge.stream.protocol.messages import (
    MAX_SERVER_LINE_BYTES,
    ErrorMessage,
    Hello,
    ObservationMessage,
    encode,
    without_clock,
)
from fkp_edge.stream.server.access import check_reach
from fkp_edge.stream.server.base import AcceptingServer
from fkp_edge.stream.server.connection import Limits, LineClient, Serving

__all__ = ["DatagramSender", "LineServer", "UdpSender"]

HELLO_EVERY_NS = 1_000_000_000


class DatagramSender(Closing, ABC):
    """A target of datagrams; subclasses say what is sent."""

    def __init__(self, address: UdpAddress, *, insecure: bool = False) -> None:
        """Resolves `address` once.

        Raises:
            StreamError: the host is unknown, or beyond loopback without `insecure`.
        """
        check_reach(address, token=None, insecure=insecure)
        self._address = address
        self._sent = 0
        try:
            place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)[0]
            family, self._place = place[0], place[4]
            self._sock = socket.socket(family, socket.SOCK_DGRAM)
        except OSError as error:
            raise StreamError(f"cannot find the host of {address}: {error.strerror}; expected its address") from error
        self._sock.setblocking(False)

    @abstractmethod
    def datagrams(self, message: ObservationMessage) -> Iterator[bytes]:
        """What `message` is sent as."""

    @property
    def address(self) -> UdpAddress:
        """Where datagrams go."""
        return self._address

    @property
    def sent(self) -> int:
        """Datagrams handed to the kernel so far."""
        return self._sent

    def publish(self, message: ObservationMessage) -> None:
        """Sends `message`. From one thread; a target that is not there, or a full queue, costs the datagram only."""
        for data in self.datagrams(message):
            with contextlib.suppress(OSError):
                self._sock.sendto(data, self._place)
                self._sent += 1

    def close(self) -> None:
        """Twice is fine."""
        self._sock.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._address} {'closed' if self._sock.fileno() < 0 else 'open'}>"


class UdpSender(DatagramSender):
    """The protocol's own datagrams: a hello first, and again once a second, since who listens late needs the names."""

    def __init__(self, address: UdpAddress, hello: Callable[[], Hello], *, insecure: bool = False) -> None:
        super().__init__(address, insecure=insecure)
        self._hello = hello
        self._hello_ns: int | None = None

    def datagrams(self, message: ObservationMessage) -> Iterator[bytes]:
        """A hello where it is time for one, and the observation."""
        if self._hello_ns is None or message.sent_ns - self._hello_ns >= HELLO_EVERY_NS:
            self._hello_ns = message.sent_ns
            yield encode_datagram(self._hello())
        yield encode_datagram(message)


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
