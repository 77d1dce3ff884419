"""Other programs with bounded time and output, and child processes under limits of memory, time and files."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

__all__ = ["Ended", "Worker", "WorkerError", "confine", "limit_next", "run_program"]

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


PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
QUIET = {"MALLOC_ARENA_MAX": "1", "MALLOC_MMAP_THRESHOLD_": str(2**20), "MALLOC_TRIM_THRESHOLD_": str(2**20)}
"""glibc then gives large blocks back as soon as they are free."""
PIECE = 2**20


class WorkerError(Exception):
    """A worker ended, took too long, or said what no worker says; its text says how it ended."""

    def __init__(self, text: str, *, crashed: bool = False) -> None:
        super().__init__(text)
        self.crashed = crashed
        """A signal ended it that nobody sent."""


class Worker:
    """A process that answers bytes with bytes; started when it is first asked, and again after it died.

    Not for use by two threads at once, but `close` may come from another.
    """

    def __init__(self, module: str, *, start_s: float = 30.0) -> None:
        """`module` has a function `main`, which calls `confine` and then answers on stdout what comes on stdin."""
        self._module = module
        self._start_s = start_s
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"pid {self._process.pid}" if self._process else "not started"
        return f"<Worker {self._module} {state}>"

    @property
    def pid(self) -> int | None:
        """The process's number while it lives."""
        return self._process.pid if self._process and self._process.poll() is None else None

    def start(self) -> None:
        """Starts the process, which is ready some time later; nothing where it runs.

        Raises:
            OSError: it cannot be started.
        """
        if self._closed:
            raise WorkerError("was closed")
        if self.pid is not None:
            return
        self.end()
        path = [str(Path(part).absolute()) for part in sys.path]  # as ours: -m would put the working folder first
        code = f"import sys; sys.path[:] = {path!r}; from {self._module} import main; main({os.getpid()})"
        self._process = subprocess.Popen(  # noqa: S603 - no shell, our own program
            [sys.executable, "-P", "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | QUIET,
            start_new_session=True,
        )
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)

    def ask(self, parts: list[bytes], *, timeout_s: float) -> None:
        """Sends `parts`, one after the other.

        Raises:
            WorkerError: the process ended or takes nothing for `timeout_s`.
        """
        self.start()
        process = self._process
        assert process is not None
        assert process.stdin is not None
        deadline = time.monotonic() + self._start_s + timeout_s
        for part in parts:
            left = memoryview(part)
            while left:
                self._wait(process.stdin.fileno(), deadline, for_write=True)
                try:
                    left = left[os.write(process.stdin.fileno(), left[:PIECE]) :]
                except BrokenPipeError:
                    raise self._ended() from None
                except (BlockingIOError, ValueError):
                    continue

    def answer(self, into: memoryview, deadline: float) -> None:
        """Fills `into` with what the process says next, until `deadline` (monotonic).

        Raises:
            WorkerError: the process ended or was too slow, and is gone now.
        """
        process = self._process
        if process is None:
            raise WorkerError("was closed")
        assert process.stdout is not None
        at = 0
        while at < len(into):
            self._wait(process.stdout.fileno(), deadline, for_write=False)
            try:
                count = os.readv(process.stdout.fileno(), [into[at : at + PIECE]])
            except BlockingIOError:
                continue
            if not count:
                raise self._ended()
            at += count

    def end(self) -> None:
        """Ends the process; the next question starts another."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                with contextlib.suppress(OSError):
                    pipe.close()

    def close(self) -> None:
        """Ends the process for good; twice is fine. Who waits for an answer on another thread gets WorkerError."""
        self._closed = True
        process = self._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()  # wakes who reads; the pipes are closed by whoever asked, or here
            process.wait()

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
        self.end()

    def _wait(self, pipe: int, deadline: float, *, for_write: bool) -> None:
        waiting = select.poll()  # `select` takes no number over 1,023
        waiting.register(pipe, select.POLLOUT if for_write else select.POLLIN)
        if not waiting.poll(max(0.0, deadline - time.monotonic()) * 1000):
            self.end()
            raise WorkerError("takes too long")

    def _ended(self) -> WorkerError:
        process = self._process
        code = process.wait() if process else None
        self.end()
        if code is None or self._closed:
            return WorkerError("was closed")
        if code == -signal.SIGXCPU:
            return WorkerError("takes too long")
        if code < 0:
            return WorkerError(f"ended by {signal.Signals(-code).name}", crashed=True)
        return WorkerError(f"ended with code {code}")


def confine(parent: int) -> None:
    """In the child: ends with `parent`, gains no rights, writes no file, leaves no core."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if os.getppid() != parent:  # it ended before we asked to be told
        os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


def limit_next(memory: int, cpu_s: float) -> None:
    """In the child: from here on at most `memory` bytes more than now, and `cpu_s` seconds of a core."""
    now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    used = resource.getrusage(resource.RUSAGE_SELF)
    spent = used.ru_utime + used.ru_stime
    resource.setrlimit(resource.RLIMIT_AS, (now + memory, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CPU, (int(spent + cpu_s) + 1, resource.RLIM_INFINITY))
