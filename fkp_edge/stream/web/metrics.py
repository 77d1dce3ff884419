"""What `/metrics` says, in Prometheus' text format."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from fkp_edge.stream.protocol.messages import StateName

__all__ = ["Histogram", "Numbers", "render", "temperature_c"]

STATES: tuple[StateName, ...] = ("searching", "tracking", "held", "no_camera")
THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")


class Histogram(NamedTuple):
    """Durations of one stage."""

    bounds_s: Sequence[float]
    """Upper bounds of all buckets but the last, ascending."""
    counts: Sequence[int]
    """One more than the bounds."""
    sum_s: float


class Numbers(NamedTuple):
    """All that is told."""

    frames: int
    dropped: int
    state: StateName | None
    frame_age_s: float | None
    clients: Mapping[str, int]
    """By the address of the stream."""
    refused: int
    stages: Mapping[str, Histogram]
    temperature_c: float | None


def temperature_c(path: Path = THERMAL) -> float | None:
    """Of the processor, where the system tells."""
    try:
        return int(path.read_text()) / 1000
    except (OSError, ValueError):
        return None


def render(numbers: Numbers) -> str:
    """`numbers` in Prometheus' text format."""
    return "\n".join(_lines(numbers)) + "\n"


def _lines(n: Numbers) -> Iterator[str]:
    yield from _metric("frames_total", "counter", "Frames processed.", {"": n.frames})
    yield from _metric("frames_dropped_total", "counter", "Frames skipped.", {"": n.dropped})
    states = {_labels(state=state): int(state == n.state) for state in STATES}
    yield from _metric("state", "gauge", "1 for the state that the engine is in.", states)
    if n.frame_age_s is not None:
        yield from _metric("frame_age_seconds", "gauge", "Since the last new frame.", {"": round(n.frame_age_s, 3)})
    clients = {_labels(stream=stream): count for stream, count in n.clients.items()}
    yield from _metric("clients", "gauge", "Clients connected to each stream.", clients)
    yield from _metric("requests_refused_total", "counter", "Requests to the page refused.", {"": n.refused})
    if n.temperature_c is not None:
        yield from _metric("temperature_celsius", "gauge", "Of the processor.", {"": n.temperature_c})
    if n.stages:
        yield from _head("stage_seconds", "histogram", "How long each stage of a frame took.")
    for name, histogram in n.stages.items():
        yield from _histogram(name, histogram)


def _metric(name: str, kind: str, text: str, values: Mapping[str, float]) -> Iterator[str]:
    yield from _head(name, kind, text)
    for labels, value in values.items():
        yield f"fkp_edge_{name}{labels} {value}"


def _head(name: str, kind: str, text: str) -> Iterator[str]:
    yield f"# HELP fkp_edge_{name} {text}"
    yield f"# TYPE fkp_edge_{name} {kind}"


def _histogram(stage: str, histogram: Histogram) -> Iterator[str]:
    bounds = [*(f"{bound:g}" for bound in histogram.bounds_s), "+Inf"]
    for bound, count in zip(bounds, accumulate(histogram.counts), strict=True):
        yield f"fkp_edge_stage_seconds_bucket{_labels(stage=stage, le=bound)} {count}"
    yield f"fkp_edge_stage_seconds_sum{_labels(stage=stage)} {histogram.sum_s:.6f}"
    yield f"fkp_edge_stage_seconds_count{_labels(stage=stage)} {sum(histogram.counts)}"


def _labels(**labels: str) -> str:
    escaped = {
        name: value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") for name, value in labels.items()
    }
    return "{" + ",".join(f'{name}="{value}"' for name, value in escaped.items()) + "}"
