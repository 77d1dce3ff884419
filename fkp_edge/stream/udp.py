"""Sends observations as datagrams to one target; never waits, never answers."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from types import TracebackType
from typing import Self

from fkp_edge.errors import StreamError
from fkp_edge.stream.address import UdpAddress
from fkp_edge.stream.datagrams import encode_datagram
from fkp_edge.stream.messages import Hello, ObservationMessage
from fkp_edge.stream.trust import check_reach

__all__ = ["UdpSender"]

HELLO_EVERY_NS = 1_000_000_000


class UdpSender:
    """A target of datagrams. A hello goes out first, and again once a second: who listens late needs the names."""

    def __init__(self, address: UdpAddress, hello: Callable[[], Hello], *, insecure: bool = False) -> None:
        """Resolves `address` once.

        Raises:
            StreamError: the host is unknown, or beyond loopback without `insecure`.
        """
        check_reach(address, token=None, insecure=insecure)
        self._address = address
        self._hello = hello
        self._hello_ns: int | None = None
        self._sent = 0
        try:
            place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)[0]
            family, self._place = place[0], place[4]
            self._sock = socket.socket(family, socket.SOCK_DGRAM)
        except OSError as error:
            raise StreamError(f"cannot find the host of {address}: {error.strerror}; expected its address") from error
        self._sock.setblocking(False)

    @property
    def address(self) -> UdpAddress:
        """Where datagrams go."""
        return self._address

    @property
    def sent(self) -> int:
        """Observations handed to the kernel so far."""
        return self._sent

    def publish(self, message: ObservationMessage) -> None:
        """Sends `message`. From one thread; a target that is not there, or a full queue, costs the datagram only."""
        if self._hello_ns is None or message.sent_ns - self._hello_ns >= HELLO_EVERY_NS:
            self._hello_ns = message.sent_ns
            self._send(encode_datagram(self._hello()))
        self._sent += self._send(encode_datagram(message))

    def _send(self, data: bytes) -> bool:
        with contextlib.suppress(OSError):
            self._sock.sendto(data, self._place)
            return True
        return False

    def close(self) -> None:
        """Twice is fine."""
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<UdpSender {self._address} {'closed' if self._sock.fileno() < 0 else 'open'}>"
