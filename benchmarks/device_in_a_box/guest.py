"""What the parts need of the system that they look at, be it a virtual machine or a container."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from .wire import Answer

__all__ = ["Guest"]


class Guest(Protocol):
    """A booted system."""

    prepare: str
    """Command that gives it something to film."""
    source: str
    """What the installer is told to film."""
    has_kernel: bool
    """A kernel of its own, with its drivers, clock and memory limits."""

    def run(self, command: str, *, timeout_s: float = 300.0) -> Answer:
        """Runs a line of bash as root; after `timeout_s` of its time it is killed, and the code is 124."""
        ...

    def put(self, file: Path) -> None:
        """Copies a small file into its /root."""
        ...

    def reboot(self) -> None:
        """As `systemctl reboot` does it."""
        ...
