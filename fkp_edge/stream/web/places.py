"""Places of the web server: who holds one, for how long, and who gives way when none is free."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

from aiohttp import web

__all__ = ["Connection", "MaskedFrames", "Place", "Places", "place_of"]

MASKED = 0x80
LENGTH = 0x7F
LONGER = {126: 2, 127: 8}
"""Bytes of the length that follow, by the length in the second byte."""
MASK_BYTES = 4
IMPOSSIBLE = b"\xf0\x80"
"""A frame's head with reserved bits: a reader of frames ends the connection for it, with code 1002."""


class Parser(Protocol):
    """What reads frames from bytes."""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]: ...

    def feed_eof(self) -> None: ...


class MaskedFrames:
    """Hands bytes on to a parser of frames, up to the first frame that is not masked. aiohttp's takes those, too."""

    def __init__(self, parser: Parser) -> None:
        self._parser = parser
        self._head = bytearray()
        self._held = b""
        self._payload_left = 0
        self._broken = False

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """What the parser says of `data`."""
        if self._broken:
            return False, b""
        data = self._held + bytes(data)
        size = self._masked(data)
        self._held = b""
        if size < len(data):
            self._broken = True
            return self._parser.feed_data(data[:size] + IMPOSSIBLE)
        if len(self._head) == 1:  # half of what says whether a frame is masked: not handed on yet
            self._head.clear()
            data, self._held = data[:-1], data[-1:]
        return self._parser.feed_data(data)

    def feed_eof(self) -> None:
        """Nothing more will come."""
        self._parser.feed_eof()

    def _masked(self, data: bytes) -> int:
        """How many bytes of `data` come before the head of a frame that is not masked."""
        at = 0
        while at < len(data):
            if self._payload_left:
                taken = min(self._payload_left, len(data) - at)
                self._payload_left -= taken
                at += taken
                continue
            self._head.append(data[at])
            if len(self._head) == 2 and not self._head[1] & MASKED:
                return at - 1
            at += 1
            self._take_head()
        return at

    def _take_head(self) -> None:
        """Begins the payload once the head is whole."""
        if len(self._head) < 2:
            return
        length = self._head[1] & LENGTH
        extra = LONGER.get(length, 0)
        if len(self._head) == 2 + extra + MASK_BYTES:
            self._payload_left = int.from_bytes(self._head[2 : 2 + extra]) if extra else length
            self._head.clear()


class Place:
    """One connection, from its acceptance until its socket is closed. Used on the server's loop alone."""

    def __init__(self, host: str, loop: asyncio.AbstractEventLoop) -> None:
        self.host = host
        """The peer's address."""
        self.is_stream = False
        """Whether it is read for as long as the peer likes."""
        self.may_stay = False
        """Whether it keeps its place though others wait: a stream, or a request that has its turn."""
        self.arrival: asyncio.Task[None] | None = None
        """Shakes hands for TLS, and ends then."""
        self.transport: asyncio.Transport | None = None
        self._loop = loop
        self._deadline: asyncio.TimerHandle | None = None

    def arm(self, seconds: float) -> None:
        """Ends the connection after `seconds`, whatever was said before."""
        self.disarm()
        self._deadline = self._loop.call_later(seconds, self.abort)

    def disarm(self) -> None:
        """Takes the deadline away."""
        if self._deadline is not None:
            self._deadline.cancel()

    def abort(self) -> None:
        """Ends the connection at once; what was not sent is lost. Twice is fine."""
        self.disarm()
        if self.transport is not None:
            # the TLS transport of Python 3.11.2, Debian 12's, raises where its connection is lost already
            with contextlib.suppress(AttributeError):
                self.transport.abort()
        elif self.arrival is not None:
            self.arrival.cancel()


class Places:
    """The places taken, and the rules by which a new one is given."""

    def __init__(self, *, clients: int, per_address: int, streams: int) -> None:
        """
        Args:
            clients: places in all.
            per_address: places that one address can have, so that one peer cannot take all.
            streams: places that streams can have, so that requests find one.
        """
        self._clients = clients
        self._per_address = per_address
        self._streams = streams
        self._taken: dict[Place, None] = {}

    def __len__(self) -> int:
        return len(self._taken)

    def __iter__(self) -> Iterator[Place]:
        """In the order of their arrival."""
        return iter(tuple(self._taken))

    @property
    def have_room_for_a_stream(self) -> bool:
        """Whether one more can be a stream."""
        return sum(place.is_stream for place in self._taken) < self._streams

    def has_room(self, host: str) -> bool:
        """Whether `host` can have a place; where all are taken, a request gives way."""
        own = [place for place in self._taken if place.host == host]
        if len(own) >= self._per_address:
            return self._make_room(own)
        return len(self._taken) < self._clients or self._make_room(list(self._taken))

    def take(self, place: Place) -> None:
        """Counts `place`."""
        self._taken[place] = None

    def leave(self, place: Place) -> None:
        """Counts `place` no more. Twice is fine."""
        place.disarm()
        self._taken.pop(place, None)

    def abort_all(self) -> None:
        """Ends all connections."""
        for place in self:
            place.abort()

    def _make_room(self, places: list[Place]) -> bool:
        """Ends one of `places`: the oldest request of the address that has most."""
        requests = [place for place in places if not place.may_stay]
        if not requests:
            return False
        counts = Counter(place.host for place in requests)
        oldest = max(requests, key=lambda place: counts[place.host])  # the first of these: they stand in order
        oldest.abort()
        self.leave(oldest)
        return True


class Connection(web.RequestHandler):
    """aiohttp's side of a connection; tells when it is closed."""

    __slots__ = ("_gone", "place")

    def __init__(self, server: web.Server, place: Place, gone: Callable[[Place], None], **options: object) -> None:
        super().__init__(server, **options)  # type: ignore[arg-type]
        self.place = place
        self._gone = gone

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Its place can be ended from now on."""
        super().connection_made(transport)
        assert isinstance(transport, asyncio.Transport)
        self.place.transport = transport

    def set_parser(self, parser: Any, *args: Any, **options: Any) -> None:
        """Called once a WebSocket has shaken hands."""
        super().set_parser(cast(Any, MaskedFrames(parser)), *args, **options)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Leaves its place: not when `close` is called, since what is unsent then can hold the socket for ever."""
        super().connection_lost(exc)
        self._gone(self.place)


def place_of(request: web.Request) -> Place:
    """The place that `request` came to."""
    assert isinstance(request.protocol, Connection)
    return request.protocol.place
