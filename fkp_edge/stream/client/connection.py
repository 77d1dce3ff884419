"""Connects to a stream and iterates over its observations; how a running service is doing."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Iterator
from typing import Self

import msgspec

from fkp_edge.core.files import Closing
from fkp_edge.errors import StreamError
from fkp_edge.stream.client.transports import LostError, Transport, dial
from fkp_edge.stream.protocol.address import Address, parse_address
from fkp_edge.stream.protocol.messages import (
    ErrorMessage,
    Hello,
    ObservationMessage,
    Ping,
    ServerMessage,
    StateName,
    decode_server,
    encode,
    printable,
)

__all__ = ["Connection", "StreamStatus", "connect", "read_status"]

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

    Returns:
        An iterator over messages: a `Hello`, then an `ObservationMessage` for each frame.

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
        """The stream's lines, in place of its messages.

        Returns:
            An iterator over lines as they came, each with its newline; checked as the messages are.
        """
        return (line for line, _ in self.pairs())

    def pairs(self) -> Iterator[tuple[bytes, ServerMessage]]:
        """The stream's lines beside its messages.

        Returns:
            An iterator over pairs: a line as it came, and the message that it is.

        Raises:
            StreamError: as the iteration over messages.
        """
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


MAX_AGE_MS = 60_000.0
ENOUGH_S = 1.0
"""Of new frames, to tell their rate by."""


class StreamStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A stream over about a second, or over all the time given where no frames flow."""

    hello: Hello
    state: StateName | None
    """Of the newest observation; None where none came."""
    faces: int
    """In the newest observation."""
    frames: int
    """New ones that came; repetitions of an earlier one do not count."""
    frames_per_s: float
    age_ms: float | None
    """From taking the newest new one to sending it, on the device's clock; None without one, and where that cannot be,
    as in a recording, whose times are its own."""

    @property
    def is_alive(self) -> bool:
        """Whether frames flow."""
        return self.frames > 0 and self.state != "no_camera"


def read_status(url: str, *, token: str | None = None, within_s: float = 3.0) -> StreamStatus:
    """Listens to the stream at `url`: for a second where new frames come, for `within_s` where none do.

    Args:
        url: what `fkp-edge run --stream` was given.
        token: what the device's `--token-file` holds, where it has one.
        within_s: how long a new frame may take, and an answer.

    Raises:
        StreamError: nothing answers there, or no stream of fkp-edge.
    """
    with connect(url, token=token, timeout_s=within_s, reconnect=False) as connection:
        return _listen(connection, within_s)


def _listen(connection: Connection, within_s: float) -> StreamStatus:
    hello, newest, frames = None, None, 0
    first_s = last_s = 0.0
    age_ms: float | None = None
    end_s = time.monotonic() + within_s
    try:
        for message in connection:
            now_s = time.monotonic()
            if isinstance(message, Hello):
                hello = message
            elif isinstance(message, ObservationMessage):
                if newest is not None and message.sequence != newest.sequence:  # the first may be an old one repeated
                    frames, last_s = frames + 1, now_s
                    first_s = first_s or now_s
                    age_ms = (message.sent_ns - message.captured_ns) / 1e6
                newest = message
            if now_s >= end_s or (frames > 1 and now_s - first_s >= ENOUGH_S):
                break
    except StreamError:
        if hello is None:
            raise  # else it fell silent, which is what the status says
    if hello is None:
        raise StreamError(f"{connection.address} closed the connection before its hello; is it a stream of fkp-edge?")
    return StreamStatus(
        hello=hello,
        state=newest.state if newest else None,
        faces=len(newest.faces) if newest else 0,
        frames=frames,
        frames_per_s=round((frames - 1) / (last_s - first_s), 2) if last_s > first_s else 0.0,
        age_ms=round(age_ms, 1) if age_ms is not None and 0 <= age_ms <= MAX_AGE_MS else None,
    )
