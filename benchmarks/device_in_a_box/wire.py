"""JSON lines to and from a virtual machine, and what a command gave there."""

from __future__ import annotations

import json
import os
import select
import time
from dataclasses import dataclass
from typing import Any

__all__ = ["Answer", "Lines"]


@dataclass(frozen=True)
class Answer:
    """What a command in the guest gave."""

    code: int
    text: str
    """Both its outputs."""
    uptime_s: float
    """Guest time since the kernel's first line, when it ended."""

    def lines(self) -> list[str]:
        """The text, line by line, without blanks at the ends."""
        return [line.strip() for line in self.text.strip().splitlines()]


class Lines:
    """JSON lines over a socket or a terminal, with a time limit on each."""

    def __init__(self, handle: int) -> None:
        """Reads and writes the descriptor `handle`, and leaves closing it to its owner."""
        self._handle = handle
        self._read = b""

    def next(self, timeout_s: float) -> dict[str, Any]:
        """The next line.

        Raises:
            TimeoutError: none came.
            ConnectionError: the other side is gone.
        """
        end = time.monotonic() + timeout_s
        while b"\n" not in self._read:
            ready, _, _ = select.select([self._handle], [], [], max(0.0, end - time.monotonic()))
            if not ready:
                raise TimeoutError(f"no line in {timeout_s:.0f} s")
            piece = os.read(self._handle, 1 << 16)
            if not piece:
                raise ConnectionError("the machine closed its port")
            self._read += piece
        line, self._read = self._read.split(b"\n", 1)
        found: dict[str, Any] = json.loads(line)
        return found

    def send(self, **message: Any) -> None:
        """One line."""
        left = json.dumps(message).encode() + b"\n"
        while left:
            left = left[os.write(self._handle, left) :]
