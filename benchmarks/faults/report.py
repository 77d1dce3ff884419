"""What a soak amounts to: recovery after each fault, growth, and whatever should not have been, by name."""

from __future__ import annotations

import bisect
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from faults.schedule import ON_ITS_WAY_S, Fault
from faults.service import WATCHDOG_S, Sample

__all__ = [
    "MOST_END_S",
    "MOST_GROWN_MB",
    "MOST_RECOVERY_S",
    "by_minute",
    "explain",
    "growth",
    "longest_wait_s",
    "recoveries",
]

MOST_GROWN_MB = 3.0
"""Of the fitted line, from the end of the warm-up to the end."""
MOST_RECOVERY_S = 12.0
"""From the end of a fault to a tracked face: the longest wait before a camera is opened again is 10 s."""
MOST_END_S = 5.0
AWAY_S = 0.1
"""Without a face for this long it was away."""
AFTER_S = 15.0
"""So long after a fault of the camera its absence is explained by that."""


def growth(samples: Sequence[Sample]) -> dict[str, float]:
    """Resident memory of samples over at least some seconds: its fitted line and its range."""
    hours = (np.array([s.at_s for s in samples]) - samples[0].at_s) / 3600
    memory = np.array([s.resident_mb for s in samples])
    slope = float(np.polyfit(hours, memory, 1)[0])
    return {
        "mb_per_hour": round(slope, 2),
        "grown_mb": round(slope * float(hours[-1]), 2),
        "median_mb": round(float(np.median(memory)), 2),
        "first_minute_mb": round(float(np.median(memory[hours <= 1 / 60])), 2),
        "last_minute_mb": round(float(np.median(memory[hours >= hours[-1] - 1 / 60])), 2),
        "range_mb": round(float(np.ptp(memory)), 2),
    }


def recovery_s(fault: Fault, tracked_s: Sequence[float]) -> float | None:
    """From the end of a fault until faces are tracked again; None where they never are.

    Frames from before the end may be on their way still: where faces stay away soon after, their return counts.
    """
    start = bisect.bisect(tracked_s, fault.end_s)
    stop = bisect.bisect(tracked_s, fault.end_s + ON_ITS_WAY_S) + 1
    if stop > len(tracked_s):
        return None
    times = [fault.end_s, *tracked_s[start:stop]]
    returns = [later for earlier, later in pairwise(times) if later - earlier > AWAY_S]
    return (returns[-1] if returns else times[1]) - fault.end_s


def recoveries(faults: Sequence[Fault], tracked_s: Sequence[float]) -> dict[str, dict[str, Any]]:
    """By kind: how often, how often faces came back, and how soon."""
    found: dict[str, list[float]] = defaultdict(list)
    never: Counter[str] = Counter()
    for fault in faults:
        took = recovery_s(fault, tracked_s)
        if took is None:
            never[fault.kind] += 1
        else:
            found[fault.kind].append(took)
    return {
        kind: {
            "count": len(found[kind]) + never[kind],
            "recovered": len(found[kind]),
            "median_s": round(statistics.median(found[kind]), 3) if found[kind] else None,
            "most_s": round(max(found[kind]), 3) if found[kind] else None,
        }
        for kind in sorted(found.keys() | never.keys())
    }


EXPLAINS = {
    "silent": ("SIGSTOP",),
    "lost at once": ("small frames", "large frames"),
    "no_camera": (
        *("stall", "unplugged", "connection lost", "one frame a second", "SIGSTOP", "small frames", "large frames"),
        *("truncated pictures", "damaged pictures", "garbage for pictures"),
    ),
}
"""Which faults may be the reason of what a witness noted."""


def explain(notes: Sequence[tuple[float, str]], faults: Sequence[Fault]) -> tuple[dict[str, int], list[str]]:
    """How often each thing was noted, and those that no fault explains."""
    unexplained = []
    for at_s, what in notes:
        reasons = (f for f in faults if f.kind in EXPLAINS[what])
        if not any(f.start_s - 2 <= at_s <= f.end_s + AFTER_S for f in reasons):
            unexplained.append(f"{what} at {at_s:.1f} without a fault that explains it")
    return dict(Counter(what for _, what in notes)), unexplained


def longest_wait_s(pings_s: Sequence[float]) -> float:
    """Between two keep-alives."""
    return round(max(np.diff(pings_s), default=WATCHDOG_S), 2)


def by_minute(samples: Sequence[Sample], start_s: float) -> list[dict[str, float]]:
    """What the samples of each minute since `start_s` were."""
    minutes: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        minutes[int((sample.at_s - start_s) // 60)].append(sample)
    return [
        {
            "minute": minute,
            "samples": len(found),
            "resident_mb": round(statistics.median(s.resident_mb for s in found), 2),
            "most_threads": max(s.threads for s in found),
            "most_descriptors": max(s.descriptors for s in found),
            "cores_used": round((found[-1].cpu_s - found[0].cpu_s) / max(found[-1].at_s - found[0].at_s, 1e-9), 2),
        }
        for minute, found in sorted(minutes.items())
    ]
