"""How a client reaches a stream: one transport for each kind of address, all giving JSON lines."""

from __future__ import annotations

import contextlib
import logging
import socket
import time
from typing import Protocol

from fkp_edge.errors import StreamError
from fkp_edge.stream.protocol.address import (
    AdapterAddress,
    Address,
    MqttAddress,
    TcpAddress,
    UdpAddress,
    UnixAddress,
    WebAddress,
)
from fkp_edge.stream.protocol.datagrams import MAX_DATAGRAM_BYTES, LineBuffer, decode_datagram
from fkp_edge.stream.protocol.messages import (
    MAX_SERVER_LINE_BYTES,
    Auth,
    Hello,
    ObservationMessage,
    encode,
    without_clock,
)

__all__ = ["RECEIVE_BUFFER_BYTES", "LostError", "Transport", "dial", "silence"]

# What the kernel holds while the program sleeps is stale when it wakes up. Measured on Linux, lines of 0.7 to 12 kB: 30
# to 49 kB await a client that slept; with 32 kB here, up to 109.
RECEIVE_BUFFER_BYTES = 16 * 1024


class LostError(StreamError):
    """The stream cannot be read now, but perhaps later: worth another try."""


class Transport(Protocol):
    """A connection that gives lines."""

    def next_line(self) -> bytes | None:
        """The next line with its newline; `None` where the server ended the stream, or `close` was called."""

    def send(self, line: bytes) -> None:
        """Sends a line to the server."""

    def close(self) -> None:
        """Disconnects; ends a `next_line` in another thread. Twice is fine."""


def silence(address: Address, timeout_s: float) -> LostError:
    """The error of a stream from which nothing comes."""
    return LostError(
        f"nothing came from {address} for {timeout_s:g} s; expected a line at least once a second: "
        "the device is gone or hangs, or something other than fkp-edge listens there"
    )


CHUNK_BYTES = 4 * 1024

_log = logging.getLogger(__name__)


def dial(address: Address, *, token: str | None, timeout_s: float) -> Transport:
    """A transport to `address`.

    Raises:
        LostError: nobody answers there.
        StreamError: the address cannot be.
    """
    if isinstance(address, MqttAddress | AdapterAddress):
        raise StreamError(f"{address} is for other programs to read; expected a tcp, unix, ws or udp stream")
    if isinstance(address, UdpAddress):
        return _Datagrams(address, timeout_s)
    if isinstance(address, WebAddress):
        from fkp_edge.stream.client.websocket import WebSocketTransport  # needs aiohttp

        return WebSocketTransport(address, token=token, timeout_s=timeout_s)
    sock = _dial_unix(address, timeout_s) if isinstance(address, UnixAddress) else _dial_tcp(address, timeout_s)
    transport = _Lines(sock, address, timeout_s)
    with contextlib.suppress(LostError):  # who reads learns why
        transport.send(encode(Auth(token=token or "")))  # so that a server which asks for one says so at once
    return transport


class _Lines:
    """JSON lines on a TCP or Unix socket."""

    def __init__(self, sock: socket.socket, address: TcpAddress | UnixAddress, timeout_s: float) -> None:
        self._sock = sock
        self._sock.settimeout(timeout_s)
        self._address = address
        self._timeout_s = timeout_s
        self._received = LineBuffer(MAX_SERVER_LINE_BYTES)
        self._closed = False

    def next_line(self) -> bytes | None:
        while not self._closed:
            line = self._received.next_line()
            if line is not None:
                return line
            chunk = self._chunk()
            if not chunk:
                if self._received and not self._closed:
                    raise LostError(f"{self._address} closed the connection in the middle of a line; connect again")
                return None
            self._received.feed(chunk)
        return None

    def send(self, line: bytes) -> None:
        try:
            self._sock.sendall(line)
        except OSError as error:
            raise LostError(f"cannot send to {self._address}: {error.strerror or error}; connect again") from error

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def _chunk(self) -> bytes:
        try:
            return self._sock.recv(CHUNK_BYTES)
        except TimeoutError:
            raise silence(self._address, self._timeout_s) from None
        except OSError as error:
            if self._closed:  # by another thread
                return b""
            raise LostError(f"lost the connection to {self._address}: {error.strerror}; connect again") from error


class _Datagrams:
    """Datagrams sent to an address of this machine, as lines: a hello first, and again where it has changed."""

    def __init__(self, address: UdpAddress, timeout_s: float) -> None:
        self._address = address
        self._timeout_s = timeout_s
        self._hello: Hello | None = None
        self._closed = False
        try:
            self._sock = _bind_datagrams(address, timeout_s)
        except OSError as error:
            raise StreamError(
                f"cannot receive at {address}: {error.strerror or error}; "
                "expected an address of this machine to which fkp-edge run --stream sends"
            ) from error

    def next_line(self) -> bytes | None:
        silent_at = time.monotonic() + self._timeout_s
        while not self._closed:
            try:
                data = self._sock.recv(MAX_DATAGRAM_BYTES)
                message = decode_datagram(data)
            except TimeoutError:
                raise silence(self._address, self._timeout_s) from None
            except StreamError as error:  # anybody can send here: what is not ours must not end the stream
                _log.debug("ignored a datagram: %s", error)
                if time.monotonic() > silent_at:
                    raise silence(self._address, self._timeout_s) from error
                continue
            except OSError as error:
                if self._closed:
                    return None
                raise LostError(f"cannot receive at {self._address}: {error.strerror}") from error
            if self._is_news(message):
                return encode(message)
        return None

    def _is_news(self, message: Hello | ObservationMessage) -> bool:
        if isinstance(message, ObservationMessage):
            return self._hello is not None
        before, self._hello = self._hello, message
        return before is None or without_clock(before) != without_clock(message)

    def send(self, line: bytes) -> None:  # noqa: ARG002 - one interface for all transports
        raise StreamError(f"{self._address} carries no questions; connect to a tcp, unix or ws stream to ping")

    def close(self) -> None:
        self._closed = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()


def _bind_datagrams(address: UdpAddress, timeout_s: float) -> socket.socket:
    family, _, _, _, place = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_DGRAM)[0]
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.settimeout(timeout_s)
    try:
        sock.bind(place)
    except OSError:
        sock.close()
        raise
    return sock


def _dial_unix(address: UnixAddress, timeout_s: float) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
        sock.settimeout(timeout_s)
        sock.connect(address.path)
    except OSError as error:
        sock.close()
        raise _dial_error(address, error, timeout_s) from error
    return sock


def _dial_tcp(address: TcpAddress, timeout_s: float) -> socket.socket:
    """A connected socket; every address of the host is tried in turn."""
    try:
        places = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise LostError(f"cannot find the host of {address}: {error.strerror}; expected a name or address") from error
    failure = OSError("no address")
    for family, kind, protocol, _, place in places:
        sock = socket.socket(family, kind, protocol)
        try:
            # Before connecting: later it would not bound the window that the server is told.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
            sock.settimeout(timeout_s)
            sock.connect(place)
        except OSError as error:
            sock.close()
            failure = error
        else:
            return sock
    raise _dial_error(address, failure, timeout_s) from failure


def _dial_error(address: TcpAddress | UnixAddress, error: OSError, timeout_s: float) -> StreamError:
    if isinstance(error, ConnectionRefusedError | FileNotFoundError):
        why = "no such file" if isinstance(error, FileNotFoundError) else "connection refused"
        return LostError(f"nothing listens on {address} ({why}); start fkp-edge run, or name its --stream address")
    if isinstance(error, TimeoutError):
        return LostError(f"no answer from {address} within {timeout_s:g} s; is the device on, and on this network?")
    return LostError(f"cannot connect to {address}: {error.strerror or error}; expected the address of a stream")
