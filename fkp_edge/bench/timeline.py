"""When each stage ran and for how long: every duration with its time, for one measurement."""

from __future__ import annotations

import time
from collections import defaultdict

from fkp_edge.device.timing import StageTimes

__all__ = ["Timeline"]


class Timeline(StageTimes):
    """Takes the place of the run's times, which keep no order over stages and only the newest."""

    def __init__(self) -> None:
        super().__init__()
        self._spans: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        self.engine_began_ns = 0
        """Monotonic clock when the engine began with its last frame."""

    def add(self, stage: str, duration_ns: int) -> None:
        """Notes one duration of `stage`, which ends now."""
        now = time.monotonic_ns()
        self._spans[stage].append((now, duration_ns))
        if stage == "engine":
            self.engine_began_ns = now - duration_ns

    def add_at(self, stage: str, at_ns: int, duration_ns: int) -> None:
        """Notes one that belongs to the moment `at_ns`, monotonic clock."""
        self._spans[stage].append((at_ns, duration_ns))

    def between(self, start_ns: int, end_ns: int) -> dict[str, list[int]]:
        """Durations, in the order of time, of each stage that belong to `start_ns` to before `end_ns`."""
        found = {
            stage: [duration for at, duration in spans if start_ns <= at < end_ns]
            for stage, spans in self._spans.items()
        }
        return {stage: durations for stage, durations in found.items() if durations}
