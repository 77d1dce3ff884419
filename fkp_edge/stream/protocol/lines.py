"""Received bytes -> lines, bounded: the framing that server and client share. No socket here."""

from __future__ import annotations

from fkp_edge.errors import StreamError

__all__ = ["LineBuffer"]


class LineBuffer:
    """Cuts received bytes into lines.

    Feed it only once `next_line` has given `None`: then it never holds more than one line's limit and one chunk.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = bytearray()

    def __len__(self) -> int:
        """Bytes held: after the last line, those of an unfinished one."""
        return len(self._bytes)

    def feed(self, chunk: bytes) -> None:
        """Takes what the socket gave."""
        self._bytes += chunk

    def next_line(self) -> bytes | None:
        """The next line with its newline, or `None` until more is fed.

        Raises:
            StreamError: the line has more bytes than allowed, newline included.
        """
        size = self._bytes.find(b"\n", 0, self._max_bytes) + 1
        if size:
            line = bytes(self._bytes[:size])
            del self._bytes[:size]
            return line
        if len(self._bytes) < self._max_bytes:
            return None
        start = bytes(self._bytes[:40])
        raise StreamError(f"a line that starts {start!r} is too long; expected at most {self._max_bytes} bytes")
