"""`fkp-edge status`: whether a stream is alive, as a monitor asks it."""

from __future__ import annotations

import time

import msgspec

from fkp_edge.errors import StreamError
from fkp_edge.stream.client.connection import Connection, connect
from fkp_edge.stream.protocol.messages import Hello, ObservationMessage, StateName

__all__ = ["StreamStatus", "read_status"]

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
