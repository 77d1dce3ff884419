"""A client in a process of its own: reads a stream to its end, then prints when each observation had arrived.

`python -m fkp_edge.bench.receiver URL` prints one JSON array of [sequence, nanoseconds of the monotonic clock]; all
processes of a machine share that clock.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time

import msgspec

from fkp_edge.core.files import Closing
from fkp_edge.errors import StreamError
from fkp_edge.stream.client.connection import connect
from fkp_edge.stream.protocol.messages import ObservationMessage

__all__ = ["Receiver"]

END_S = 20.0
"""How long the client may take to end once the stream has."""


class Receiver(Closing):
    """The process; `arrivals` once the stream has ended."""

    def __init__(self, url: str) -> None:
        """Starts it."""
        command = [sys.executable, "-m", "fkp_edge.bench.receiver", url]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)  # noqa: S603

    @property
    def is_running(self) -> bool:
        """False where it failed."""
        return self._process.poll() is None

    def arrivals(self) -> dict[int, int]:
        """Sequence -> when it had arrived.

        Raises:
            StreamError: the client failed.
        """
        try:
            said, _ = self._process.communicate(timeout=END_S)
            return dict(msgspec.json.decode(said, type=list[tuple[int, int]]))
        except (subprocess.TimeoutExpired, msgspec.DecodeError) as error:
            raise StreamError(f"the measuring client failed ({error}); measure again") from None

    def close(self) -> None:
        """Ends the process; twice is fine."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


def read_all(url: str) -> list[tuple[int, int]]:
    """Reads the stream at `url` until it ends: each observation's sequence, once, and when it was decoded."""
    arrived: dict[int, int] = {}
    with contextlib.suppress(StreamError), connect(url, reconnect=False) as stream:
        for message in stream:
            if isinstance(message, ObservationMessage):
                arrived.setdefault(message.sequence, time.monotonic_ns())
    return list(arrived.items())


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(read_all(sys.argv[1])))
