"""`fkp-edge watch`: connects to a stream and shows it."""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO

from fkp_edge.errors import StreamError
from fkp_edge.stream.client.connection import Connection, connect
from fkp_edge.stream.protocol.messages import Hello, ObservationMessage, ServerMessage, printable
from fkp_edge.stream.recording.recording import Recorder

__all__ = ["introduction", "watch"]

RETRY_S = 0.2
LATE_S = 1.0
RATE_WINDOW_NS = 2_000_000_000
PLAIN_INTERVAL_NS = 1_000_000_000
MAX_AGE_MS = 60_000.0
FRESH_NS = 2_000_000_000

_log = logging.getLogger(__name__)


def watch(
    url: str,
    *,
    as_json: bool,
    out: TextIO,
    token: str | None = None,
    count: int | None = None,
    wait_s: float = 0.0,
    recorder: Recorder | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> int:
    """Shows the stream at `url` until the server closes it: the number of observations seen.

    Args:
        url: what `fkp-edge run --stream` was given.
        as_json: writes every line as it came, and nothing else. Otherwise a status: one line rewritten in place where
            `out` is a terminal, else a line about once a second and at each change of state.
        out: where to.
        token: what the device's `--token-file` holds, where it has one.
        count: ends after that many observations.
        wait_s: how long to try again while nothing listens there.
        recorder: gets what a recording holds.
        say: called, from a thread of its own, with what is waited for, where that takes over a second.

    Raises:
        StreamError: see `connect` and `Connection`.
    """
    with _connect(url, token, wait_s, say) as connection:
        received = _first_said(connection, say)
        received = _recorded(received, recorder) if recorder else received
        return _copy(connection, received, out, count) if as_json else _show(connection, received, out, count)


Received = Iterable[tuple[bytes, ServerMessage]]


def _recorded(received: Received, recorder: Recorder) -> Iterator[tuple[bytes, ServerMessage]]:
    for line, message in received:
        if isinstance(message, Hello | ObservationMessage):
            recorder.write(line)
        yield line, message


def _connect(url: str, token: str | None, wait_s: float, say: Callable[[str], None]) -> Connection:
    """Connects, again and again for `wait_s` while nothing listens."""
    end = time.monotonic() + wait_s
    with _said_late(f"no answer from {url} yet; waiting up to {wait_s:g} s", say):
        while True:
            try:
                return connect(url, token=token, reconnect=False)
            except StreamError as error:
                is_absent = isinstance(error.__cause__, ConnectionRefusedError | FileNotFoundError)
                if time.monotonic() >= end or not is_absent:
                    raise
            time.sleep(min(RETRY_S, max(0.0, end - time.monotonic())))


def _first_said(connection: Connection, say: Callable[[str], None]) -> Iterator[tuple[bytes, ServerMessage]]:
    """What `connection` receives; where the first line is late, that is said."""
    pairs = connection.pairs()
    with _said_late(f"connected to {connection.address}, waiting for its first line", say):
        first = next(pairs, None)
    if first is not None:
        yield first
        yield from pairs


@contextmanager
def _said_late(text: str, say: Callable[[str], None]) -> Iterator[None]:
    """Says `text` where what is done here takes over a second."""
    timer = threading.Timer(LATE_S, say, (text,))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _copy(connection: Connection, received: Received, out: TextIO, count: int | None) -> int:
    seen = 0
    for line, message in received:
        out.write(line.decode())
        out.flush()
        seen += isinstance(message, ObservationMessage)
        if seen == count:
            return seen
    _log.info("%s ended", connection.address)
    return seen


def _show(connection: Connection, received: Received, out: TextIO, count: int | None) -> int:
    seen = 0
    display = _Display(out)
    try:
        for _, message in received:
            if isinstance(message, Hello):
                status = _Status(message)
                same_clock = connection.address.is_loopback and _is_now(message)
                display.line(f"{connection.address}: {introduction(message)}")
            elif isinstance(message, ObservationMessage):
                seen += 1
                age_ms = (time.monotonic_ns() - message.sent_ns) / 1e6 if same_clock else None
                display.status(status.text(message, age_ms=age_ms), message)
                if seen == count:
                    return seen
        display.line(f"{connection.address} ended")
        return seen
    finally:
        display.end()


def _is_now(hello: Hello) -> bool:
    """Whether `hello` was made a moment ago by this machine's clock: not so in a replay, or behind a forwarded port."""
    return bool(0 <= time.monotonic_ns() - hello.server_ns <= FRESH_NS)


def introduction(hello: Hello) -> str:
    """What a hello says, in a line."""
    size = "" if hello.frame_size is None else "{}x{} ".format(*hello.frame_size)
    return printable(
        f"model {hello.model} ({hello.model_sha256[:8]}), {len(hello.points)} points, {size}from {hello.source}"
    )


class _Status:
    """Observations -> the text of a status line. No clock: the device's times count."""

    def __init__(self, hello: Hello) -> None:
        self._names = hello.points
        self._point = hello.points.index("nose_tip") if "nose_tip" in hello.points else 0
        self._sequence: int | None = None
        self._sent_ns: deque[int] = deque()

    def text(self, observation: ObservationMessage, *, age_ms: float | None) -> str:
        """What `observation` says. `age_ms`: since it was sent, or `None` where the clocks are not the same."""
        parts = [f"{observation.state:9}", *self._faces(observation), f"{self._frames_per_s(observation):.1f}/s"]
        parts.append(f"dropped {observation.dropped}")
        if age_ms is not None and 0 <= age_ms <= MAX_AGE_MS:
            parts.append(f"age {age_ms:.1f} ms")
        return "  ".join(parts)

    def _faces(self, observation: ObservationMessage) -> list[str]:
        faces = observation.faces
        parts = ["1 face " if len(faces) == 1 else f"{len(faces)} faces"]
        if faces:
            parts.append(f"score {faces[0].score:.2f}")
            if self._point < min(len(self._names), len(faces[0].points)):
                x, y = faces[0].points[self._point]
                parts.append(f"{printable(self._names[self._point], limit=40)} ({x:.0f}, {y:.0f})")
        return parts

    def _frames_per_s(self, observation: ObservationMessage) -> float:
        """New frames over the last two seconds; repetitions of the last one do not count."""
        if observation.sequence != self._sequence:
            self._sequence = observation.sequence
            self._sent_ns.append(observation.sent_ns)
        while self._sent_ns and self._sent_ns[0] < observation.sent_ns - RATE_WINDOW_NS:
            self._sent_ns.popleft()
        span_ns = self._sent_ns[-1] - self._sent_ns[0] if self._sent_ns else 0
        return (len(self._sent_ns) - 1) * 1e9 / span_ns if span_ns > 0 else 0.0


class _Display:
    """Writes status lines: in place on a terminal, now and then elsewhere."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._width = 0
        self._shown: ObservationMessage | None = None

    def line(self, text: str) -> None:
        """A line of its own."""
        self.end()
        self._out.write(text + "\n")
        self._out.flush()

    def status(self, text: str, observation: ObservationMessage) -> None:
        """The newest status."""
        if self._live:
            text = text[: shutil.get_terminal_size().columns - 1]  # a line that wraps cannot be rewritten
            self._out.write("\r" + text.ljust(self._width))
            self._width = len(text)
            self._out.flush()
        elif self._is_due(observation):
            self._shown = observation
            self.line(text)

    def end(self) -> None:
        """Leaves the line that is being rewritten."""
        if self._width:
            self._width = 0
            self._out.write("\n")
            self._out.flush()

    def _is_due(self, observation: ObservationMessage) -> bool:
        last = self._shown
        return (
            last is None or observation.state != last.state or observation.sent_ns - last.sent_ns >= PLAIN_INTERVAL_NS
        )
