"""What software ran, what on this machine may have spoilt the figures, and work that never changes as a yardstick."""

from __future__ import annotations

import platform
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

import fkp_edge
from fkp_edge.bench.records import Latency, Software, latency
from fkp_edge.core.subprocesses import run_program
from fkp_edge.device.board import Board
from fkp_edge.model.runtimes import find_runtime

__all__ = ["Reference", "read_software", "warnings"]

BUSY_SHARE = 0.3
"""Of the cores, runnable before the measurement begins: others are at work."""


def read_software() -> Software:
    """Versions of what is installed here."""
    return Software(
        fkp_edge=fkp_edge.__version__,
        commit=find_commit(Path(fkp_edge.__file__).resolve().parents[1]),
        python=platform.python_version(),
        runtime=str(find_runtime()),
        numpy=np.__version__,
        opencv=cv2.__version__,
    )


def find_commit(folder: Path, git: str = "git") -> str | None:
    """The commit checked out in `folder`, with `+` where files were changed; None where it is no working tree."""
    if not (folder / ".git").exists():  # an installed package must not take the commit of what happens to lie above
        return None
    said = []
    for words in (("rev-parse", "HEAD"), ("status", "--porcelain", "--untracked-files=no")):
        try:
            ended = run_program([git, "-C", folder, *words], timeout_s=10)
        except OSError:
            return None
        if ended.code != 0:
            return None
        said.append(ended.output.strip())
    return said[0] + ("+" if said[1] else "")


def warnings(before: Board, after: Board, load_before: float) -> Sequence[str]:
    """Sentences on what slowed the machine down, or kept it from its best."""
    said = []
    if after.throttling or before.throttling:
        now = ", ".join(dict.fromkeys((*before.throttling, *after.throttling)))
        said.append(f"the machine was slowed down while it was measured: {now}")
    if fresh := [text for text in after.throttled_before if text not in before.throttled_before]:
        said.append(f"meanwhile {', '.join(fresh)}: these figures are not what it can do")
    elif after.throttled_before:
        said.append(f"since the system started, but before this: {', '.join(after.throttled_before)}")
    if after.governor not in (None, "performance"):
        said.append(f"the governor {after.governor} changes the frequency with the load; performance does not")
    if load_before > BUSY_SHARE * max(after.cores, 1):
        said.append(f"others were at work: {load_before:.1f} programs in the minute before, on {after.cores} cores")
    return said


TURN_S = 0.05


class Reference:
    """Blurs one picture of noise, 640x480, over and over, on one thread."""

    def __init__(self) -> None:
        self._picture = np.random.default_rng(0).integers(0, 256, (480, 640), np.uint8)
        self._durations: list[int] = []

    def work(self) -> None:
        """A turn."""
        end = time.perf_counter_ns() + round(TURN_S * 1e9)
        while (start := time.perf_counter_ns()) < end:
            cv2.GaussianBlur(self._picture, (9, 9), 2)
            self._durations.append(time.perf_counter_ns() - start)

    def figures(self) -> Latency:
        """Of all turns so far, at least one."""
        return latency(self._durations)
