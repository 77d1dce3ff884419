"""What every transport of the client promises, and the errors that they share."""

from __future__ import annotations

from typing import Protocol

from fkp_edge.errors import StreamError
from fkp_edge.stream.protocol.address import Address

__all__ = ["RECEIVE_BUFFER_BYTES", "LostError", "Transport", "silence"]

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
