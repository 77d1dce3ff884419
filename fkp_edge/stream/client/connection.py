"""The client: `for message in connect("tcp://raspberrypi:8765")`. Needs msgspec, no NumPy and no OpenCV."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from typing import Self

from fkp_edge.core.files import Closing
from fkp_edge.errors import StreamError
from fkp_edge.stream.client.transport import LostError, Transport
from fkp_edge.stream.client.transports import dial
from fkp_edge.stream.protocol.address import Address, parse_address
from fkp_edge.stream.protocol.messages import ErrorMessage, Hello, Ping, ServerMessage, decode_server, encode, printable

__all__ = ["Connection", "connect"]

FIRST_PAUSE_S = 0.1
LAST_PAUSE_S = 2.0
RECONNECT_S = 120.0  # a Raspberry Pi that starts again is back in less

_log = logging.getLogger(__name__)


def connect(
    url: str,
    *,
    token: str | None = None,
    timeout_s: float = 5.0,
    reconnect: bool = True,
    reconnect_s: float = RECONNECT_S,
    wait_s: float = 0.0,
) -> Connection:
    """A connection to the stream at `url`, such as `tcp://127.0.0.1:8765`: iterate over it, close it.

    Args:
        url: what `fkp-edge run --stream` was given; `udp://` is the address of this machine that it sends to.
        token: what the device's `--token-file` holds, where it has one.
        timeout_s: how long to wait for the connection, and then for each next line.
        reconnect: connects again where the stream ends or is lost; each connection begins with a `Hello` of its own.
            Otherwise the iteration ends with the stream.
        reconnect_s: how long to try, then; `math.inf` for as long as it takes.
        wait_s: how long to try again, at first, while nothing listens. The log says, either time, that it does.

    Raises:
        StreamError: nothing listens there.
    """
    address = parse_address(url)
    end = time.monotonic() + wait_s
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return Connection(address, token=token, timeout_s=timeout_s, reconnect_s=reconnect_s if reconnect else None)
        except LostError as error:
            rest_s = end - time.monotonic()
            if rest_s <= 0:
                raise
            _log.warning("%s; trying again for %.0f s", error, rest_s)
            time.sleep(min(pause_s, rest_s))
            pause_s = min(2 * pause_s, LAST_PAUSE_S)


class Connection(Closing):
    """An iterator over the messages of a server: a `Hello`, then `ObservationMessage`s, and a `Pong` for each `ping`.

    It raises `StreamError` when the server breaks the protocol or refuses this client; a lost connection is made anew,
    or is an error where that fails for `reconnect_s`. Without `reconnect` a server that falls silent is an error too,
    and the iteration ends when the server closes.
    Closed at the end of iteration, or by `close` or `with`.
    """

    def __init__(self, address: Address, *, token: str | None, timeout_s: float, reconnect_s: float | None) -> None:
        """Connects."""
        self._address = address
        self._token = token
        self._timeout_s = timeout_s
        self._reconnect_s = reconnect_s
        self._lost_s: float | None = None  # when the stream was lost; none while it goes on
        self._pause_s = FIRST_PAUSE_S
        self._greeted = False
        self._met = False  # whether this was a stream once: what never was is not waited for
        self._closing = threading.Event()
        self._transport: Transport = dial(address, token=token, timeout_s=timeout_s)

    @property
    def address(self) -> Address:
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
        return (line for line, _ in self.pairs())

    def pairs(self) -> Iterator[tuple[bytes, ServerMessage]]:
        """Each line as it came, and what it says."""
        while received := self._receive():
            yield received

    def ping(self) -> None:
        """Asks for a `Pong`, which comes among the messages and carries this machine's monotonic clock back.

        Raises:
            StreamError: the connection is lost or closed, or is one of datagrams.
        """
        self._transport.send(encode(Ping(client_ns=time.monotonic_ns())))

    def close(self) -> None:
        """Disconnects; ends an iteration in another thread. Twice is fine."""
        self._closing.set()
        self._transport.close()

    def __repr__(self) -> str:
        return f"<Connection {self._address} {'closed' if self._closing.is_set() else 'open'}>"

    def _receive(self) -> tuple[bytes, ServerMessage] | None:
        """The next line and what it says, or `None` at the end."""
        try:
            while not self._closing.is_set():
                try:
                    line = self._transport.next_line()
                    if line is not None:
                        return line, self._checked(line)
                    lost = self._ended()
                except LostError as error:
                    if self._reconnect_s is None or not self._met:
                        raise
                    lost = error
                if self._reconnect_s is None:
                    self.close()
                elif not self._closing.is_set():
                    self._connect_again(lost, self._reconnect_s)
        except StreamError:
            self.close()
            raise
        return None

    def _connect_again(self, lost: LostError, within_s: float) -> None:
        """Dials until somebody answers, but for no longer than `within_s` since the last message."""
        self._transport.close()
        if self._lost_s is None:
            self._lost_s = time.monotonic()
            _log.warning("%s; trying again%s", lost, f" for {within_s:g} s" if within_s < math.inf else "")
        while not self._closing.wait(self._pause_s):
            self._pause_s = min(2 * self._pause_s, LAST_PAUSE_S)
            try:
                self._transport = dial(self._address, token=self._token, timeout_s=self._timeout_s)
            except LostError as error:
                if time.monotonic() - self._lost_s >= within_s:
                    raise LostError(f"{error}; gave up after {within_s:g} s") from error
                continue
            self._greeted = False
            if self._closing.is_set():  # while it was dialled
                self._transport.close()
            return

    def _ended(self) -> LostError:
        if not (self._greeted or self._closing.is_set()):
            raise LostError(f"{self._address} closed the connection before its hello; is it a stream of fkp-edge?")
        return LostError(f"{self._address} ended the stream")

    def _checked(self, line: bytes) -> ServerMessage:
        message = decode_server(line)
        if isinstance(message, ErrorMessage):
            raise StreamError(f"{self._address} refused this client: {printable(message.text)}")
        if not self._greeted and not isinstance(message, Hello):
            raise StreamError(f"{self._address} began with {type(message).__struct_config__.tag}; expected hello")
        self._greeted = self._met = True
        self._lost_s, self._pause_s = None, FIRST_PAUSE_S
        return message
