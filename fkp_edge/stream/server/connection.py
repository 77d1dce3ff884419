"""One connection of the line server, driven by callbacks on the server's loop.

At most one unfinished line, one answer and one line of input are kept for a client, whatever it does: nothing is read
before the answer to what was read has gone out, and the newest observation is fetched only when the one before is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from fkp_edge.errors import StreamError
from fkp_edge.stream.protocol.datagrams import LineBuffer
from fkp_edge.stream.protocol.messages import (
    MAX_CLIENT_LINE_BYTES,
    Auth,
    ErrorMessage,
    Hello,
    Pong,
    decode_client,
    encode,
    without_clock,
)
from fkp_edge.stream.server.access import same_token

__all__ = ["Limits", "LineClient", "Serving"]

PACE_S = 0.01
"""Between two lines taken from one client: a flood of pings must cost the loop, and the camera's Python, little."""
LINGER_S = 1.0
"""How long a refused client has to read why."""
WANTED = (
    "expected what the device's --token-file holds: watch takes --token-file FILE, connect() a token, "
    'any other client sends {"type":"auth","token":"..."} first'
)


class Limits(NamedTuple):
    """How long a client may keep its place without doing its part."""

    auth_s: float = 5.0
    """Until its token has come."""
    stall_s: float = 30.0
    """Without taking a byte of what waits for it."""


class Serving(NamedTuple):
    """What a client needs of its server."""

    hello: Callable[[], Hello]
    said: Callable[[], Hello | None]
    """What a hello says now, but for its clock; none before the first line."""
    newest: Callable[[], tuple[int, bytes]]
    """The newest line and its number; 0 before the first."""
    gone: Callable[[LineClient, StreamError | OSError | None], None]
    """Called once, when the connection is closed; with the reason where it was refused or lost."""
    token: str | None
    limits: Limits


class LineClient:
    """Takes over a connected socket that does not block."""

    def __init__(self, sock: socket.socket, loop: asyncio.AbstractEventLoop, serving: Serving) -> None:
        self._sock = sock
        self._loop = loop
        self._serving = serving
        self._received = LineBuffer(MAX_CLIENT_LINE_BYTES)
        self._unsent = memoryview(b"")
        self._moved_s = loop.time()
        self._answer = b""
        self._seen = 0
        self._greeted = False
        self._told: Hello | None = None
        self._reason: StreamError | OSError | None = None
        self._refused = False
        self._closed = False

    def start(self) -> None:
        """Greets the client, or waits for its token."""
        self._loop.add_reader(self._sock, self._read)
        if self._serving.token is None:
            self._greet()
        else:
            self._loop.call_later(self._serving.limits.auth_s, self._expect_token)

    @property
    def is_served(self) -> bool:
        """Whether nothing is on the way to it."""
        return self._closed or not (self._unsent or self._answer)

    def has(self, number: int) -> bool:
        """Whether line `number` is sent, or never will be."""
        return self._closed or self._refused or (self._seen == number and not self._unsent)

    def offer(self, number: int, line: bytes) -> None:
        """Sends the newest line, unless an earlier one is still on its way: then the newest follows that."""
        if self._unsent:
            if self._loop.time() - self._moved_s > self._serving.limits.stall_s:
                self.close(StreamError(f"it took nothing for {self._serving.limits.stall_s:g} s"))
        elif self._greeted and not self._refused and number != self._seen:
            if self._is_news(self._serving.said()):
                self._say_hello()  # before the line: its points are to be read with this
                if self._unsent or self._closed:
                    return
            self._seen = number
            self._send(line)

    def close(self, reason: StreamError | OSError | None = None) -> None:
        """Disconnects. Twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        self._sock.close()
        self._serving.gone(self, self._reason or reason)

    def _greet(self) -> None:
        self._greeted = True
        self._say_hello()
        if not self._unsent:
            self._send_next()

    def _say_hello(self) -> None:
        hello = self._serving.hello()
        self._told = without_clock(hello)
        self._send(encode(hello))

    def _is_news(self, said: Hello | None) -> bool:
        if said is None or said is self._told:
            return False
        if said != self._told:
            return True
        self._told = said  # so that the next look is quick
        return False

    def _send(self, data: bytes) -> None:
        """Hands `data` to the kernel; what it does not take now follows when it will."""
        if self._closed:
            return
        self._unsent = memoryview(data)
        self._moved_s = self._loop.time()
        self._push()
        if self._unsent and not self._closed:
            self._loop.add_writer(self._sock, self._drain)

    def _push(self) -> None:
        try:
            sent = self._sock.send(self._unsent)
        except BlockingIOError:
            return
        except OSError as error:
            self.close(error)
            return
        self._unsent = self._unsent[sent:]
        self._moved_s = self._loop.time()

    def _drain(self) -> None:
        self._push()
        if not self._unsent and not self._closed:
            self._loop.remove_writer(self._sock)
            self._send_next()

    def _send_next(self) -> None:
        """What waited for the line before: an answer, then the newest observation."""
        if self._answer:
            answer, self._answer = self._answer, b""
            self._send(answer)
            if not self._unsent:
                self._send_next()
        elif self._refused:
            with contextlib.suppress(OSError):
                self._sock.shutdown(socket.SHUT_WR)
        else:
            self.offer(*self._serving.newest())

    def _read(self) -> None:
        try:
            chunk = self._sock.recv(MAX_CLIENT_LINE_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self.close(error)
            return
        if self._refused:
            self._discard(chunk)
            return
        if not chunk and not self._received:
            self._take_end()
            return
        self._received.feed(chunk or b"\n")  # at the end an unfinished line is judged as it is
        self._take_line()

    def _take_end(self) -> None:
        """It will send no more. It may still want to read; but where its token is wanted, others may want its place."""
        if self._greeted:
            self._loop.remove_reader(self._sock)
        else:
            self._refuse(StreamError(f"the connection's end came before a token; {WANTED}"))

    def _discard(self, chunk: bytes) -> None:
        if chunk:
            self._pause(self._resume)
        else:
            self.close()

    def _pause(self, then: Callable[[], None]) -> None:
        self._loop.remove_reader(self._sock)
        self._loop.call_later(PACE_S, then)

    def _resume(self) -> None:
        if not self._closed:
            self._loop.add_reader(self._sock, self._read)

    def _take_line(self) -> None:
        """Acts on one received line, and comes back for the next when its answer is sent."""
        if self._closed:
            return
        if self._answer:
            self._pause(self._take_line)
            return
        try:
            line = self._received.next_line()
            if line is not None:
                self._obey(line)
        except StreamError as error:
            self._refuse(error)
            return
        if line is None:
            self._resume()
        elif not self._closed:
            self._pause(self._take_line)

    def _obey(self, line: bytes) -> None:
        message = decode_client(line)
        if not self._greeted:
            self._check_token(message.token if isinstance(message, Auth) else "")
            self._greet()
        elif not isinstance(message, Auth):  # a token that nobody asked for does no harm
            self._answer = encode(Pong(client_ns=message.client_ns, server_ns=time.monotonic_ns()))
            if not self._unsent:
                self._send_next()

    def _check_token(self, given: str) -> None:
        if not same_token(given, self._serving.token or ""):
            if given:
                raise StreamError(f"this stream's token is another; {WANTED}")
            raise StreamError(f"this stream asks for its token; {WANTED}")

    def _expect_token(self) -> None:
        if not (self._greeted or self._refused or self._closed):
            self._refuse(StreamError(f"no token came within {self._serving.limits.auth_s:g} s; {WANTED}"))

    def _refuse(self, error: StreamError) -> None:
        """Says what was wrong, then takes input for a moment: closing over unread bytes would reset the connection,
        and some systems then throw the error line away."""
        if self._closed:
            return
        self._refused, self._reason = True, error
        self._answer = encode(ErrorMessage(text=str(error)))
        self._loop.call_later(LINGER_S, self.close)
        if not self._unsent:
            self._send_next()
        self._resume()
