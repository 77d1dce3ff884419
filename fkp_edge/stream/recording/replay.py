"""`fkp-edge replay`: streams a recording as the device did."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from fkp_edge.stream.protocol.address import Address
from fkp_edge.stream.protocol.messages import Hello
from fkp_edge.stream.recording.recording import read_recording
from fkp_edge.stream.server.publishers import Access, Publishers

__all__ = ["Replay"]

POLL_S = 0.0005
LATE_S = 1.0
MAX_SLEEP_S = 0.05
"""Until `stop` is noticed."""


class Replay:
    """A recording being streamed: the observations are, byte for byte, those recorded."""

    def __init__(self, path: Path, addresses: Sequence[Address], access: Access) -> None:
        """Opens the streams; clients can connect when this returns.

        Raises:
            InputError: the file is no recording.
            StreamError: an address cannot be used.
        """
        self._messages = read_recording(path)
        _, first = next(self._messages)
        assert isinstance(first, Hello)  # read_recording checks
        self._hello = first
        self._stopping = False  # no lock: a signal handler must not wait for who holds it, which is what it interrupted
        self.outputs = Publishers(addresses, lambda: self._hello, access)

    def run(self, *, fast: bool, say: Callable[[str], None] = lambda _: None) -> int:
        """Streams to the end, then closes: the number of observations.

        Args:
            fast: as fast as the slowest client reads, from the first client on; otherwise at the recording's own pace.
            say: called with what is waited for, where no client comes within a second.

        Raises:
            InputError: the recording is damaged.
        """
        count = 0
        start_ns: int | None = None
        with self.outputs:
            if fast:
                self._wait_for_the_first(say)
            for line, message in self._messages:
                if isinstance(message, Hello):
                    if fast:
                        self._wait_for_clients()  # what came before is read with the hello before
                    self._hello = message
                    continue
                if start_ns is None:
                    start_ns = time.monotonic_ns() - message.sent_ns
                if fast:
                    self._wait_for_clients()
                else:
                    self._wait_until(start_ns + message.sent_ns)
                if self._stopping:
                    break
                self.outputs.publish(message, line)
                count += 1
            if fast:
                self._wait_for_clients()
        return count

    def stop(self) -> None:
        """Makes `run` return soon. May be called from a signal handler or another thread."""
        self._stopping = True

    def _wait_for_clients(self) -> None:
        while not (self.outputs.are_served or self._stopping):
            time.sleep(POLL_S)

    def _wait_for_the_first(self, say: Callable[[str], None]) -> None:
        late_s = time.monotonic() + LATE_S
        while not (self.outputs.are_served or self._stopping):
            if time.monotonic() > late_s:
                say("waiting for a client: connect one, such as fkp-edge watch, or leave --fast out")
                return
            time.sleep(POLL_S)

    def _wait_until(self, when_ns: int) -> None:
        while (rest_ns := when_ns - time.monotonic_ns()) > 0 and not self._stopping:
            time.sleep(min(rest_ns / 1e9, MAX_SLEEP_S))
