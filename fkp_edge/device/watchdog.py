"""Tells systemd that frames flow, or that a lost camera is opened again: sd_notify(3), sd_watchdog_enabled(3)."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping

from fkp_edge.core.observation import Frame, Observation

__all__ = ["Watchdog"]


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
