"""Runs another program with bounded time and output, and never through a shell."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

__all__ = ["Ended", "run_program"]

MAX_OUTPUT_BYTES = 2**20


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: int | None
    """Its exit code, the negative number of the signal that killed it, or None where it was stopped: it took too long,
    or said more than a megabyte."""
    output: str
    """What it said on stdout and stderr, at most a megabyte."""

    @property
    def signal(self) -> str:
        """Name of the signal that killed it, such as SIGSEGV, or empty."""
        return signal.Signals(-self.code).name if self.code is not None and self.code < 0 else ""


def run_program(
    command: Sequence[str | Path],
    *,
    timeout_s: float,
    given: bytes = b"",
    environment: Mapping[str, str] | None = None,
) -> Ended:
    """Runs `command` with `given` on its stdin until it ends, or stops it and what it started after `timeout_s`.

    `environment` is this process's own unless given.

    Raises:
        OSError: it cannot be started.
    """
    deadline = time.monotonic() + timeout_s
    output = bytearray()
    with TemporaryFile() as stdin:
        stdin.write(given)
        stdin.seek(0)
        with subprocess.Popen(  # noqa: S603 - no shell, and callers name the program
            command,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        ) as process:
            assert process.stdout is not None
            code = None
            try:
                code = _read_until_end(process, process.stdout.fileno(), output, deadline)
            finally:
                if code is None:
                    _stop(process)
    return Ended(code, output.decode(errors="replace"))


def _read_until_end(process: subprocess.Popen[bytes], pipe: int, output: bytearray, deadline: float) -> int | None:
    """Fills `output`; the exit code, or None where time or room ran out first."""
    while len(output) < MAX_OUTPUT_BYTES:
        ready, _, _ = select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return None
        if not (piece := os.read(pipe, MAX_OUTPUT_BYTES - len(output))):
            try:
                return process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                return None
        output += piece
    return None


def _stop(process: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)  # its session, so that what it started does not outlive it
    except ProcessLookupError:
        return
