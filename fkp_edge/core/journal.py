"""What a run tells systemd's journal: levels, changes of the camera's state, and nothing for a frame."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:  # errors are printed where NumPy is missing, too
    from fkp_edge.core.observation import Frame, Observation

__all__ = ["CameraLog", "is_journal", "log_to_journal", "with_level"]

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
