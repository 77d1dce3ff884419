"""How long each stage took, kept in bounded memory."""

from __future__ import annotations

import bisect
import time
from collections import Counter, deque

import numpy as np

__all__ = ["BOUNDS_S", "StageTimes"]

_ORDER = ("search", "crop", "infer", "decode", "engine", "capture to sent")
"""The stages, in the order in which they are shown: parts first, then the whole frame, then its age when sent."""
KEPT = 9000
"""Durations kept of each stage: five minutes at 30 frames a second."""
BOUNDS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.033, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Upper bounds of the buckets in which all durations are counted."""
_BOUNDS_NS = [round(bound * 1e9) for bound in BOUNDS_S]


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
        self._kept: dict[str, deque[int]] = {}
        self._counts: Counter[str] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._sums_ns: Counter[str] = Counter()

    def add(self, stage: str, duration_ns: int) -> None:
        """Notes one duration of `stage`."""
        self._counts[stage] += 1
        self._sums_ns[stage] += duration_ns
        self._buckets.setdefault(stage, [0] * (len(BOUNDS_S) + 1))[bisect.bisect_left(_BOUNDS_NS, duration_ns)] += 1
        self._kept.setdefault(stage, deque(maxlen=KEPT)).append(duration_ns)

    def stage(self, name: str) -> _Stage:
        """Times its block as stage `name`."""
        return _Stage(self, name)

    def histograms(self) -> dict[str, tuple[list[int], float]]:
        """Of each stage: how many durations fell below each of `BOUNDS_S` and above the bound before, then above the
        last; and the sum of all in seconds."""
        return {stage: (list(buckets), self._sums_ns[stage] / 1e9) for stage, buckets in tuple(self._buckets.items())}

    def percentiles_ms(self) -> dict[str, tuple[int, float, float]]:
        """Of each stage: how often it ran; p50 and p95 of the durations kept, in milliseconds."""
        result = {}
        for name, kept in sorted(
            self._kept.items(), key=lambda item: _ORDER.index(item[0]) if item[0] in _ORDER else 0
        ):
            p50, p95 = np.percentile(np.array(kept) / 1e6, [50, 95])
            result[name] = (self._counts[name], float(p50), float(p95))
        return result
