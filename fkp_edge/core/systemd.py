"""systemd: its journal's levels and camera events, and its watchdog."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:  # errors are printed where NumPy is missing, too
    from fkp_edge.core.observation import Frame, Observation

__all__ = ["CameraLog", "Watchdog", "is_journal", "log_to_journal", "with_level"]

_LEVELS = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
"""Of syslog(3), as sd-daemon(3) wants them in front of a line."""

_log = logging.getLogger(__name__)


def is_journal(out: TextIO, environment: Mapping[str, str] = os.environ) -> bool:
    """Whether `out` leads to the journal: JOURNAL_STREAM names its device and inode (systemd.exec(5))."""
    try:
        status = os.fstat(out.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False
    return environment.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def with_level(text: str, level: int) -> str:
    """`text` as the journal takes it, with a level of `logging`."""
    return f"<{_LEVELS.get(level, 6)}>{text}"


def log_to_journal(out: TextIO) -> None:
    """Sends this package's log from INFO on to `out`, a line an entry; the journal adds time and name."""
    handler = logging.StreamHandler(out)
    handler.setFormatter(_LevelFormatter("%(message)s"))
    logger = logging.getLogger("fkp_edge")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)


class _LevelFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record).splitlines() or [""]
        return "\n".join(with_level(line, record.levelno) for line in lines)


class CameraLog:
    """A sink that logs when frames begin to flow, and when they do again; the runtime logs why they stopped."""

    def __init__(self) -> None:
        self._flows = False

    def __call__(self, frame: Frame | None, observation: Observation) -> None:
        from fkp_edge.core.observation import State

        if frame is not None and not self._flows:
            height, width = frame.grey.shape
            _log.info("frames flow: %dx%d, from number %d on", width, height, observation.sequence)
            self._flows = True
        elif observation.state is State.NO_CAMERA:  # a slow camera's last observation is repeated between its frames
            self._flows = False


class Watchdog:
    """A sink that sends `READY=1` when it is made and `WATCHDOG=1` while the run can go on; silent without systemd.

    `WatchdogSec=` of the service decides how often; the process that was started must be this one (`Type=notify`).
    """

    def __init__(self, environment: Mapping[str, str], *, alive: Callable[[], bool] = lambda: False) -> None:
        """Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.

        Args:
            environment: of the process.
            alive: whether a run without frames may still get some, so that another process would help no more.
        """
        self._alive = alive
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address
        micros, process = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
        meant = process in ("", str(os.getpid()))
        self._every_s = int(micros) / 2e6 if micros.isdecimal() and meant else None
        self._sent_s = -float("inf")
        self._tell("READY=1")

    def __call__(self, frame: Frame | None, observation: Observation) -> None:  # noqa: ARG002 - a sink's
        """Pings where a frame came or may come, and the last ping is half of the allowed time ago."""
        now = time.monotonic()
        if self._every_s is None or now - self._sent_s < self._every_s:
            return
        if frame is not None or self._alive():
            self._sent_s = now
            self._tell("WATCHDOG=1")

    def _tell(self, text: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto(text.encode(), self._address)
