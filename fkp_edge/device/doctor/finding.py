"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["Finding", "Status", "absent", "fails", "fine", "warns"]

Status = Literal["ok", "warning", "failed", "none"]


@dataclass(frozen=True)
class Finding:
    """Of one check, in one line."""

    status: Status
    """`warning`: it runs, but not as it could. `failed`: it does not, or not for long. `none`: does not apply."""
    text: str
    """What was found."""
    fix: str = ""
    """What to do, with the command where one does it."""


def fine(text: str) -> Finding:
    """Nothing to do."""
    return Finding("ok", text)


def absent(text: str) -> Finding:
    """Does not apply here."""
    return Finding("none", text)


def warns(text: str, fix: str) -> Finding:
    """It runs, but not as it could."""
    return Finding("warning", text, fix)


def fails(text: str, fix: str) -> Finding:
    """It does not run, or not for long."""
    return Finding("failed", text, fix)
