"""The mask bit of WebSocket frames: a client that sends one without ends its connection (RFC 6455, section 5.1)."""

from __future__ import annotations

from typing import Protocol

__all__ = ["MaskedFrames"]

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
