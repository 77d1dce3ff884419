"""The program under test as systemd would run it: a process with a notify socket, a journal, a stream and a page."""

from __future__ import annotations

import contextlib
import json
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from faults.clients import Door

__all__ = ["WATCHDOG_S", "Sample", "Service"]

WATCHDOG_S = 30
"""As in device/fkp-edge.service."""
START_S = 60.0
END_S = 15.0
"""TimeoutStopSec of the service."""
TOKEN = "soak-0123456789abcdef"  # noqa: S105 - of the service under test
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    """One look at the process from outside."""

    at_s: float
    """Monotonic clock."""
    resident_mb: float
    threads: int
    descriptors: int
    cpu_s: float
    """Used since its start."""


class Service:
    """`fkp-edge run` on a camera's URL, recording into `folder`. Close it at the end."""

    def __init__(self, source: str, folder: Path, name: str) -> None:
        """Starts it and waits until it listens.

        Raises:
            RuntimeError: it ended instead.
        """
        self.recording = folder / f"{name}.jsonl.gz"
        self._token_file = folder / "token"
        self._token_file.write_text(TOKEN)
        self._token_file.chmod(0o600)
        self._log = folder / f"{name}.log"
        self._summary = folder / f"{name}.json"
        self.pings_s: list[float] = []
        """Monotonic clock at each keep-alive."""
        self._notified = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._notified.bind(str(folder / f"{name}.notify"))
        threading.Thread(target=self._hear, daemon=True).start()
        self._process = self._start(source, folder)
        self.pid = self._process.pid
        self.door = self._await_door()

    def _start(self, source: str, folder: Path) -> subprocess.Popen[bytes]:
        options = ["--source", source, "--stream", "tcp://127.0.0.1:0", "--token-file", str(self._token_file)]
        options += ["--web", "127.0.0.1:0", "--preview", "--record", str(self.recording), "--max-faces", "4", "--json"]
        with self._log.open("wb") as log, self._summary.open("wb") as summary:
            status = os.fstat(log.fileno())
            environment = dict(os.environ) | {
                "NOTIFY_SOCKET": self._notified.getsockname(),
                "WATCHDOG_USEC": str(WATCHDOG_S * 10**6),
                "JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}",
            }
            command = [sys.executable, "-m", "fkp_edge", "run", *options]
            return subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=summary, stderr=log
            )

    def _hear(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                if self._notified.recv(100) == b"WATCHDOG=1":
                    self.pings_s.append(time.monotonic())

    def _await_door(self) -> Door:
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.is_alive:
            text = self.log()
            stream = re.search(r"streaming on tcp://127\.0\.0\.1:(\d+)", text)
            page = re.search(r"live page: http://127\.0\.0\.1:(\d+)", text)
            if stream and page:
                return Door(int(stream[1]), int(page[1]), TOKEN)
            time.sleep(0.02)
        raise RuntimeError(f"the service did not start: {self.log()[-500:]}")

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.door.stream}"

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def sample(self) -> Sample:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = {name: int(value) for name, value in re.findall(r"^(VmRSS|Threads):\s+(\d+)", status, re.M)}
        times = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        descriptors = len(os.listdir(f"/proc/{self.pid}/fd"))  # noqa: PTH208 - as many objects as names
        cpu_s = (int(times[11]) + int(times[12])) / TICKS
        return Sample(time.monotonic(), round(found["VmRSS"] / 1024, 2), found["Threads"], descriptors, cpu_s)

    def threads(self) -> frozenset[int]:
        """Numbers of its threads: Python names them for itself only."""
        return frozenset(int(path.name) for path in Path(f"/proc/{self.pid}/task").iterdir())

    def status(self) -> int:
        """Exit code of `fkp-edge status`."""
        command = [sys.executable, "-m", "fkp_edge", "status", self.url, "--token-file", str(self._token_file)]
        return subprocess.run(command, check=False, timeout=30, capture_output=True).returncode

    def pause(self, seconds: float) -> None:
        """Stops the process for a while."""
        os.kill(self.pid, signal.SIGSTOP)
        time.sleep(seconds)
        os.kill(self.pid, signal.SIGCONT)

    def fill_disk(self) -> None:
        """No file of the process may grow any more: what a full disk is to it, without one."""
        size = self.recording.stat().st_size
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (size, size))

    def end(self) -> tuple[int | None, float, dict[str, Any]]:
        """SIGTERM: its exit code (None where it had to be killed), how long that took, and its own summary."""
        start = time.monotonic()
        self._process.terminate()
        try:
            code: int | None = self._process.wait(END_S)
        except subprocess.TimeoutExpired:
            code = None
        took = time.monotonic() - start
        self.close()
        lines = self._summary.read_text().splitlines()
        return code, round(took, 2), json.loads(lines[-1]) if lines else {}

    def close(self) -> None:
        if self.is_alive:
            self._process.kill()
            self._process.wait()
        self._notified.close()
