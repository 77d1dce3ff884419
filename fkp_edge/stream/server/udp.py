"""Sends observations as datagrams to one target; never waits, never answers."""

from __future__ import annotations

import contextlib
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from fkp_edge.core.files import Closing
from fkp_edge.errors import StreamError
from fkp_edge.stream.protocol.address import UdpAddress
from fkp_edge.stream.protocol.datagrams import encode_datagram
from fkp_edge.stream.protocol.messages import Hello, ObservationMessage
from fkp_edge.stream.server.access import check_reach

__all__ = ["DatagramSender", "UdpSender"]

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
