"""What a soak amounts to: recovery after each fault, growth, and whatever should not have been, by name."""

from __future__ import annotations

import bisect
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from faults.pictures import DAMAGES
from faults.schedule import ON_ITS_WAY_S, Fault
from faults.service import WATCHDOG_S, Sample
from faults.witness import Testimony

__all__ = [
    "MAX_END_S",
    "MAX_GROWN_MB",
    "MAX_RECOVERY_S",
    "Story",
    "explain",
    "figures",
    "growth",
    "judge",
    "recoveries",
]

MAX_GROWN_MB = 3.0
"""Of the fitted line, from the end of the warm-up to the end."""
MAX_RECOVERY_S = 12.0
"""From the end of a fault to a tracked face: the longest wait before a camera is opened again is 10 s."""
MAX_END_S = 5.0
AWAY_S = 0.1
"""Without a face for this long it was away."""
AFTER_S = 15.0
"""So long after a fault of the camera its absence is explained by that."""


@dataclass
class Story:
    """What happened."""

    faults: list[Fault] = field(default_factory=list)
    """Of the camera and the process, in order."""
    clients: Counter[str] = field(default_factory=Counter)
    """Faults of clients by kind."""
    turned_away: Counter[str] = field(default_factory=Counter)
    """Of those, what a refused or broken connection ended early."""
    wrong: list[str] = field(default_factory=list)
    """What clients found wrong."""
    samples: list[Sample] = field(default_factory=list)
    warm: Sample | None = None
    """After the warm-up."""
    end: Sample | None = None
    """After all faults."""
    lasting: int = 0
    """Threads that outlived the camera's first loss."""
    lost: int = 0
    """Of those, threads that ended since."""
    lasted_s: float = 0.0
    pings_s: list[float] = field(default_factory=list)
    """Monotonic clock at each keep-alive."""
    status: int = -1
    """Exit code of `fkp-edge status` at the end."""
    exit_code: int | None = None
    end_took_s: float = 0.0
    summary: dict[str, Any] = field(default_factory=dict)
    """What the program itself said at its end."""
    log: str = ""
    recording: dict[str, Any] = field(default_factory=dict)
    camera: dict[str, int] = field(default_factory=dict)


def figures(story: Story, testimony: Testimony) -> dict[str, Any]:
    """The story and what its witness says, as plain values."""
    warm, end, start_s = story.warm, story.end, story.faults[0].start_s
    assert warm is not None
    assert end is not None
    later = [warm, *(s for s in story.samples if warm.at_s < s.at_s < end.at_s), end]
    noted, unexplained = explain(testimony.notes, story.faults)
    of_run = ("frames", "dropped", "refused", "reopened", "searches", "faces")
    return {
        "witness": testimony.record
        | {"noted": noted, "unexplained": unexplained, "cut_off": testimony.ended, "hellos": testimony.hellos},
        "faults": recoveries(story.faults, testimony.tracked_s),
        "client_faults": {"made": dict(story.clients), "not_let_in": dict(story.turned_away)},
        "memory": growth(later) | {"warm_mb": warm.resident_mb, "end_mb": end.resident_mb},
        "threads": {"lasting": story.lasting, "lost": story.lost, "warm": warm.threads, "end": end.threads},
        "descriptors": {"warm": warm.descriptors, "end": end.descriptors},
        "cores_used": round((end.cpu_s - warm.cpu_s) / (end.at_s - warm.at_s), 2),
        "frames_per_s": round(story.summary.get("frames", 0) / story.lasted_s, 1),
        "keep_alives": {
            "count": len(story.pings_s),
            "longest_wait_s": longest_wait_s([*story.pings_s, end.at_s]),
            "allowed_s": WATCHDOG_S,
        },
        "status_exit_code": story.status,
        "sigterm": {"exit_code": story.exit_code, "seconds": story.end_took_s},
        "recording": story.recording,
        "camera": story.camera,
        "log_lines": len(story.log.splitlines()),
        "summary": {key: story.summary.get(key) for key in of_run},
        "by_minute": by_minute(story.samples, start_s),
    }


def judge(story: Story, found: dict[str, Any]) -> list[str]:
    """What should not have been, by name."""
    memory, threads, descriptors = found["memory"], found["threads"], found["descriptors"]
    keep, ended, witness = found["keep_alives"], found["sigterm"], found["witness"]
    slow = {kind: back for kind, back in found["faults"].items() if not is_soon(back)}
    checks = {
        f"memory grew by {memory['grown_mb']} MB": memory["grown_mb"] <= MAX_GROWN_MB,
        f"{threads['lost']} threads ended": not threads["lost"],
        f"{threads['end']} threads instead of {threads['warm']}": threads["end"] == threads["warm"],
        f"{descriptors['end']} descriptors instead of {descriptors['warm']}": descriptors["end"] == descriptors["warm"],
        f"{keep['longest_wait_s']} s without a keep-alive": keep["longest_wait_s"] <= WATCHDOG_S,
        f"fkp-edge status said {found['status_exit_code']}": found["status_exit_code"] == 0,
        f"SIGTERM ended with {ended['exit_code']}": ended["exit_code"] == 0,
        f"SIGTERM took {ended['seconds']} s": ended["seconds"] <= MAX_END_S,
        f"the witness was cut off: {witness['cut_off']}": not witness["cut_off"] and witness["hellos"] == 1,
        f"the recording: {found['recording']['wrong']}": not found["recording"]["wrong"],
        f"a face came back late or never: {slow}": not slow,
        "the log has a traceback": "Traceback" not in story.log,
    }
    named = [what for what, holds in checks.items() if not holds]
    return [*story.wrong, *witness["unexplained"], *witness["violations"], *named]


def is_soon(back: dict[str, Any]) -> bool:
    """Whether a face came back after all faults of a kind, and in time."""
    return back["recovered"] == back["count"] and back["most_s"] <= MAX_RECOVERY_S


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
    "no_camera": ("stall", "unplugged", "connection lost", "SIGSTOP", *DAMAGES),
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
