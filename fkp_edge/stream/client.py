"""The client: `for message in connect("tcp://raspberrypi:8765")`. Needs msgspec, no NumPy and no OpenCV."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from fkp_edge.errors import StreamError
from fkp_edge.stream.address import TcpAddress, parse_address
from fkp_edge.stream.lines import LineBuffer
from fkp_edge.stream.messages import (
    MAX_SERVER_LINE_BYTES,
    ErrorMessage,
    Hello,
    Ping,
    ServerMessage,
    decode_server,
    encode,
    printable,
)

__all__ = ["Connection", "connect"]

# What the kernel holds while the program sleeps is stale when it wakes up. Measured on Linux, lines of 0.7 to 12 kB: 30
# to 49 kB await a client that slept; with 32 kB here, up to 109.
RECEIVE_BUFFER_BYTES = 16 * 1024
CHUNK_BYTES = 4 * 1024


def connect(url: str, *, timeout_s: float = 5.0) -> Connection:
    """A connection to the stream at `url`, such as `tcp://127.0.0.1:8765`: iterate over it, close it.

    Args:
        url: what `fkp-edge run --stream` was given.
        timeout_s: how long to wait for the connection, and then for each next line.

    Raises:
        StreamError: nothing listens there.
    """
    address = parse_address(url)
    return Connection(_dial(address, timeout_s), address, timeout_s=timeout_s)


class Connection:
    """An iterator over the messages of a server: a `Hello`, then `ObservationMessage`s, and a `Pong` for each `ping`.

    It ends when the server closes, and raises `StreamError` when the server falls silent, breaks the protocol or
    refuses this client. Closed at the end of iteration, or by `close` or `with`.
    """

    def __init__(self, sock: socket.socket, address: TcpAddress, *, timeout_s: float) -> None:
        """Takes over `sock`, which is connected."""
        self._sock = sock
        self._sock.settimeout(timeout_s)
        self._address = address
        self._timeout_s = timeout_s
        self._received = LineBuffer(MAX_SERVER_LINE_BYTES)
        self._greeted = False
        self._closed = False

    @property
    def address(self) -> TcpAddress:
        """Of the server."""
        return self._address

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ServerMessage:
        received = self._receive()
        if received is None:
            raise StopIteration
        return received[1]

    def lines(self) -> Iterator[bytes]:
        """The lines as they came, each with its newline; checked as the messages are."""
        while received := self._receive():
            yield received[0]

    def ping(self) -> None:
        """Asks for a `Pong`, which comes among the messages and carries this machine's monotonic clock back.

        Raises:
            StreamError: the connection is lost or closed.
        """
        try:
            self._sock.sendall(encode(Ping(client_ns=time.monotonic_ns())))
        except OSError as error:
            raise StreamError(f"cannot ping {self._address}: {error.strerror or error}; connect again") from error

    def close(self) -> None:
        """Disconnects; ends an iteration in another thread. Twice is fine."""
        self._closed = True
        with contextlib.suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Connection {self._address} {'closed' if self._closed else 'open'}>"

    def _receive(self) -> tuple[bytes, ServerMessage] | None:
        """The next line and what it says, or `None` at the end."""
        try:
            line = self._next_line()
            if line is None:
                self.close()
                return None
            return line, self._checked(line)
        except StreamError:
            self.close()
            raise

    def _next_line(self) -> bytes | None:
        while not self._closed:
            line = self._received.next_line()
            if line is not None:
                return line
            chunk = self._chunk()
            if not chunk:
                self._check_end()
                return None
            self._received.feed(chunk)
        return None

    def _chunk(self) -> bytes:
        try:
            return self._sock.recv(CHUNK_BYTES)
        except TimeoutError:
            raise StreamError(
                f"nothing came from {self._address} for {self._timeout_s:g} s; expected a line at least once a second: "
                "the device is gone or hangs, or something other than fkp-edge listens there"
            ) from None
        except OSError as error:
            if self._closed:  # by another thread
                return b""
            raise StreamError(f"lost the connection to {self._address}: {error.strerror}; connect again") from error

    def _check_end(self) -> None:
        if self._closed:
            return
        if len(self._received):
            raise StreamError(f"{self._address} closed the connection in the middle of a line; connect again")
        if not self._greeted:
            raise StreamError(f"{self._address} closed the connection before its hello; is it a stream of fkp-edge?")

    def _checked(self, line: bytes) -> ServerMessage:
        message = decode_server(line)
        if isinstance(message, ErrorMessage):
            raise StreamError(f"{self._address} refused this client: {printable(message.text)}")
        if not self._greeted and not isinstance(message, Hello):
            raise StreamError(f"{self._address} began with {type(message).__struct_config__.tag}; expected hello")
        self._greeted = True
        return message


def _dial(address: TcpAddress, timeout_s: float) -> socket.socket:
    """A connected socket; every address of the host is tried in turn."""
    try:
        places = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise StreamError(f"cannot find the host of {address}: {error.strerror}; expected a name or address") from error
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


def _dial_error(address: TcpAddress, error: OSError, timeout_s: float) -> StreamError:
    if isinstance(error, ConnectionRefusedError):
        return StreamError(
            f"nothing listens on {address} (connection refused); start fkp-edge run, or name its --stream address"
        )
    if isinstance(error, TimeoutError):
        return StreamError(f"no answer from {address} within {timeout_s:g} s; is the device on, and on this network?")
    return StreamError(f"cannot connect to {address}: {error.strerror or error}; expected the address of a stream")
