"""How long each stage took, kept in bounded memory."""

from __future__ import annotations

import bisect
import time
from collections import deque

import numpy as np

__all__ = ["BOUNDS_S", "StageTimes"]

_ORDER = ("search", "crop", "infer", "decode", "filter", "pose", "measures", "engine", "capture to sent")
"""The stages, in the order in which they are shown: parts first, then the whole frame, then its age when sent."""
KEPT = 9000
"""Durations kept of each stage: five minutes at 30 frames a second."""
BOUNDS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.033, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Upper bounds of the buckets in which all durations are counted."""
_BOUNDS_NS = [round(bound * 1e9) for bound in BOUNDS_S]


class _Durations:
    """Of one stage."""

    __slots__ = ("buckets", "count", "newest", "sum_ns")

    def __init__(self) -> None:
        self.count = self.sum_ns = 0
        self.buckets = [0] * (len(BOUNDS_S) + 1)
        self.newest: deque[int] = deque(maxlen=KEPT)


class _Stage:
    """A block that is timed; a class, since a generator costs as much as some stages."""

    __slots__ = ("_name", "_start", "_times")

    def __init__(self, times: StageTimes, name: str) -> None:
        self._times, self._name = times, name

    def __enter__(self) -> None:
        self._start = time.perf_counter_ns()

    def __exit__(self, *_: object) -> None:
        self._times.add(self._name, time.perf_counter_ns() - self._start)


class StageTimes:
    """Durations by stage, the newest `KEPT` of each. Stages may be timed from different threads."""

    def __init__(self) -> None:
        self._kept: dict[str, _Durations] = {}

    def add(self, stage: str, duration_ns: int) -> None:
        """Notes one duration of `stage`."""
        kept = self._kept.get(stage)
        if kept is None:
            kept = self._kept.setdefault(stage, _Durations())
        kept.count += 1
        kept.sum_ns += duration_ns
        kept.buckets[bisect.bisect_left(_BOUNDS_NS, duration_ns)] += 1
        kept.newest.append(duration_ns)

    def stage(self, name: str) -> _Stage:
        """Times its block as stage `name`."""
        return _Stage(self, name)

    def histograms(self) -> dict[str, tuple[list[int], float]]:
        """Of each stage: how many durations fell below each of `BOUNDS_S` and above the bound before, then above the
        last; and the sum of all in seconds."""
        return {stage: (list(kept.buckets), kept.sum_ns / 1e9) for stage, kept in tuple(self._kept.items())}

    def newest_ns(self, stage: str) -> list[int]:
        """The newest durations of `stage`, the oldest of them first; none where it never ran."""
        kept = self._kept.get(stage)
        return list(kept.newest) if kept else []

    def percentiles_ms(self) -> dict[str, tuple[int, float, float]]:
        """Of each stage: how often it ran; p50 and p95 of the durations kept, in milliseconds."""
        result = {}
        for name, kept in sorted(
            self._kept.items(), key=lambda item: _ORDER.index(item[0]) if item[0] in _ORDER else 0
        ):
            p50, p95 = np.percentile(np.array(kept.newest) / 1e6, [50, 95])
            result[name] = (kept.count, float(p50), float(p95))
        return result
