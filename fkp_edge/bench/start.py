"""What is measured from outside: a client in a process of its own, and `fkp-edge run`, its start and its memory."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from fkp_edge.bench.records import Start
from fkp_edge.core.files import Closing
from fkp_edge.errors import SourceError, StreamError
from fkp_edge.stream.client.connection import connect
from fkp_edge.stream.protocol.messages import ObservationMessage

__all__ = ["Receiver", "Watched", "watch_run"]

CLIENT_END_S = 20.0
"""How long the client may take to end once the stream has."""


class Receiver(Closing):
    """The process; `arrivals` once the stream has ended."""

    def __init__(self, url: str) -> None:
        """Starts it."""
        command = [sys.executable, "-m", "fkp_edge.bench.start", url]
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
            said, _ = self._process.communicate(timeout=CLIENT_END_S)
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
    with suppress(StreamError), connect(url, reconnect=False) as stream:
        for message in stream:
            if isinstance(message, ObservationMessage):
                arrived.setdefault(message.sequence, time.monotonic_ns())
    return list(arrived.items())


LISTENING_S = 60.0
END_S = 10.0
FACE_S = 10.0
"""How much longer to wait for a face where none is seen."""
URL = re.compile(r"streaming on (tcp://[\w.:\[\]]+)")


@dataclass
class Watched:
    """One run and what its client got."""

    start: Start
    ages_ms: list[float] = field(default_factory=list)
    """From capture to the client, of each observation that came."""
    dropped: int = 0
    """Frames that the engine skipped between two observations that the client got: those before its first one are not
    counted, as they may have come before anybody listened."""
    missed: int = 0
    """Observations that were sent, but did not reach the client."""


def watch_run(source: str, model: Path, options: Sequence[str] = (), *, seconds: float) -> Watched:
    """Starts a run, reads its stream until `seconds` after the first keypoints, and ends it.

    Args:
        source: as for `fkp-edge run`.
        model: file to run.
        options: more for the command.
        seconds: how long to read on.

    Raises:
        SourceError: the run ended by itself before it listened, with its own error, or sent nothing.
    """
    command = [sys.executable, "-m", "fkp_edge", "run", "--source", source, "--model", str(model), *options]
    command += ["--stream", "tcp://127.0.0.1:0"]
    with tempfile.TemporaryDirectory() as folder:
        if source == "demo":  # it leaves a picture
            command += ["--sheet", f"{folder}/sheet.png"]
        began = time.monotonic()
        with subprocess.Popen(  # noqa: S603 - this package's own command
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        ) as process:
            try:
                url = _await_url(process, began + LISTENING_S)
                return _read(process, url, began, seconds)
            finally:
                _end(process)


def _await_url(process: subprocess.Popen[bytes], deadline: float) -> str:
    assert process.stderr is not None
    said = b""
    while not (found := URL.search(said.decode(errors="replace"))):
        ready, _, _ = select.select([process.stderr], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(process.stderr.fileno(), 4096) if ready else b""
        if not piece:
            words = said.decode(errors="replace").strip().splitlines()
            why = words[-1].removeprefix("fkp-edge: error: ") if words else f"it said nothing for {LISTENING_S:g} s"
            raise SourceError(f"fkp-edge run did not start: {why}")
        said += piece
    return found[1]


def _read(process: subprocess.Popen[bytes], url: str, began: float, seconds: float) -> Watched:
    listening_s = time.monotonic() - began
    first: dict[str, float] = {}
    ages: list[float] = []
    sequences: list[int] = []
    dropped, peak = 0, 0.0
    with suppress(StreamError), connect(url, reconnect=False) as stream:  # StreamError: the run ended meanwhile
        for message in stream:
            now = time.monotonic_ns()
            if not isinstance(message, ObservationMessage) or message.state == "no_camera":
                continue
            since_s = now / 1e9 - began
            first.setdefault("observation", since_s)
            if message.state == "tracking":
                first.setdefault("keypoints", since_s)
            if not sequences or message.sequence > sequences[-1]:
                ages.append((now - message.captured_ns) / 1e6)
                dropped += message.dropped if sequences else 0
                sequences.append(message.sequence)
            peak = _peak_mb(process.pid) or peak
            end_s = first["keypoints"] + seconds if "keypoints" in first else first["observation"] + seconds + FACE_S
            if since_s > end_s:
                break
    if not sequences:
        raise SourceError("fkp-edge run sent no observation before it ended; expected a source that gives frames")
    start = Start(
        listening_s=round(listening_s, 4),
        first_observation_s=_rounded(first.get("observation")),
        first_keypoints_s=_rounded(first.get("keypoints")),
        peak_mb=peak,
    )
    came = sequences[-1] - sequences[0] + 1
    return Watched(start, ages, dropped, came - len(sequences) - dropped)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _peak_mb(pid: int) -> float:
    """VmHWM, 0 where the process has ended. `ru_maxrss` would have the memory of the process that started it, too."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return round(int(line.split()[1]) / 1024, 1)
    return 0.0


def _end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        process.kill()


if __name__ == "__main__":
    sys.stdout.buffer.write(msgspec.json.encode(read_all(sys.argv[1])))
