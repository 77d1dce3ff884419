"""Measures models on this machine: start, closed loop, network alone, open loop, accuracy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from fkp_edge.bench.accuracy import measure_accuracy
from fkp_edge.bench.loops import ClosedLoop, measure_open_loop, record_frames
from fkp_edge.bench.machine import Reference, read_software, warnings
from fkp_edge.bench.records import Accuracy, Latency, Loop, Measured, Result, Start, latency
from fkp_edge.bench.start import watch_run
from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.observation import Frame
from fkp_edge.device.board import Board, read_board
from fkp_edge.device.sources import without_password
from fkp_edge.model.edgetpu import Accelerator
from fkp_edge.model.interpreter import KeypointModel

__all__ = ["Plan", "bench"]

ROUNDS = 5
"""Turns that models take in what is compared: all meet the same neighbours on a shared machine."""
WARM_INVOKES = 20
STARTS = 3
Tell = Callable[[str], None]
Opens = Callable[[Path, int], KeypointModel]
"""Opens a model file with a number of threads, on the accelerator that it was made for."""


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    models: tuple[Path, ...]
    source: str = "demo"
    data: Path | None = None
    seconds: float = 75.0
    """Of each model's open loop."""
    quick: bool = False
    """A few seconds in all: shows that it works, and little else."""
    threads: int = 1
    """Most threads that the network alone is tried with on the CPU."""
    card_required: bool = True

    @property
    def names(self) -> list[str]:
        """Of the models: their files' names, or paths where two files have one name."""
        names = [path.name for path in self.models]
        return [path.name if names.count(path.name) == 1 else str(path) for path in self.models]

    @property
    def closed_s(self) -> float:
        """Of each model's closed loop, in all."""
        return 1.0 if self.quick else 10.0

    @property
    def open_s(self) -> float:
        """Of each model's open loop."""
        return min(self.seconds, 2.0) if self.quick else self.seconds


def bench(plan: Plan, opens: Opens, tell: Tell) -> Result:
    """Measures.

    Args:
        plan: what.
        opens: opens a model file with a number of threads, on what it is to be measured on.
        tell: is told on the way what is measured.

    Raises:
        FkpEdgeError: a model, the source or the data cannot be used.
    """
    accelerators, accuracy, frames, before, load_before = _begin(plan, opens, tell)
    starts = _starts(plan, accelerators, tell)
    reference = Reference()
    models = [opens(path, 1) for path in plan.models]
    networks = _networks(plan, models, opens, reference, tell)
    closed = _closed(plan, models, frames, reference, tell)
    measured = []
    for i, model in enumerate(models):
        tell(f"{plan.names[i]}: open loop, {plan.open_s:g} s")
        reference.work()
        opened = measure_open_loop(model, plan.source, frames, plan.open_s)
        measured.append(
            Measured(
                model=plan.names[i],
                sha256=model.file.sha256,
                schema=model.schema.name,
                arithmetic=model.arithmetic,
                accelerator=model.accelerator,
                file_bytes=model.file.path.stat().st_size,
                flatbuffer_bytes=len(model.file.flatbuffer),
                start=starts[i],
                closed=closed[i],
                open=opened,
                network=networks[i],
                accuracy=accuracy[i],
            )
        )
    reference.work()
    return _result(plan, frames[0], before, load_before, reference, measured)


def _begin(
    plan: Plan, opens: Opens, tell: Tell
) -> tuple[list[Accelerator], Sequence[Accuracy | None], list[Frame], Board, float]:
    """What each model runs on and errs, the frames, the machine and its load: finds all that cannot be used.

    Its models are gone when it is done: an Edge TPU is one process's at a time, and the runs that follow are others.
    """
    models = [opens(path, 1) for path in plan.models]
    before, load_before = read_board(), os.getloadavg()[0]
    frames = record_frames(plan.source)
    accuracy: Sequence[Accuracy | None] = [None] * len(models)
    if plan.data:
        accuracy = measure_accuracy(dict(zip(plan.names, models, strict=True)), plan.data, tell)
    return [model.accelerator for model in models], accuracy, frames, before, load_before


def _result(
    plan: Plan, frame: Frame, before: Board, load_before: float, reference: Reference, measured: list[Measured]
) -> Result:
    after = read_board()
    return Result(
        made_at=datetime.now(UTC).isoformat(timespec="seconds"),
        source=without_password(plan.source),
        frame_size=(frame.grey.shape[1], frame.grey.shape[0]),
        seconds=plan.open_s,
        quick=plan.quick,
        software=read_software(),
        before=before,
        after=after,
        load_before=round(load_before, 2),
        reference=reference.figures(),
        warnings=tuple(warnings(before, after, load_before)),
        models=tuple(measured),
    )


def _starts(plan: Plan, accelerators: Sequence[Accelerator], tell: Tell) -> list[tuple[Start, ...]]:
    """Of each model; models take turns."""
    times, seconds = (1, 0.5) if plan.quick else (STARTS, 2.0)
    tell(f"start, {times} time{'' if times == 1 else 's'} each")
    found: list[list[Start]] = [[] for _ in plan.models]
    for _ in range(times):
        for each, path, accelerator in zip(found, plan.models, accelerators, strict=True):
            options = ["--accelerator", accelerator] + ([] if plan.card_required else ["--no-card"])
            each.append(watch_run(plan.source, path, options, seconds=seconds).start)
    return [tuple(each) for each in found]


def _networks(
    plan: Plan, models: Sequence[KeypointModel], opens: Opens, reference: Reference, tell: Tell
) -> list[dict[str, Latency]]:
    """One inference of each model with each number of threads, which take turns."""
    tell(f"the network alone, 1 to {plan.threads} threads")
    crop = np.random.default_rng(0).integers(0, 256, (CROP_SIZE, CROP_SIZE), np.uint8)
    opened = [
        [model, *(opens(path, n) for n in range(2, plan.threads + 1) if model.accelerator == "cpu")]
        for path, model in zip(plan.models, models, strict=True)
    ]
    durations: list[list[list[int]]] = [[[] for _ in each] for each in opened]
    for _ in range(ROUNDS):
        reference.work()
        for i, each in enumerate(opened):
            for n, model in enumerate(each):
                durations[i][n] += _invoke(model, crop, plan.closed_s / ROUNDS / 5)
    return [{str(n + 1): latency(spans) for n, spans in enumerate(each)} for each in durations]


def _invoke(model: KeypointModel, crop: np.ndarray[tuple[int, int], np.dtype[np.uint8]], seconds: float) -> list[int]:
    for _ in range(WARM_INVOKES):
        model.invoke(crop)
    durations: list[int] = []
    end = time.perf_counter_ns() + round(seconds * 1e9)
    while (start := time.perf_counter_ns()) < end or not durations:
        model.invoke(crop)
        durations.append(time.perf_counter_ns() - start)
    return durations


def _closed(
    plan: Plan, models: Sequence[KeypointModel], frames: list[Frame], reference: Reference, tell: Tell
) -> list[Loop]:
    tell(f"closed loop, {plan.closed_s:g} s each")
    with ExitStack() as opened:
        loops = [opened.enter_context(ClosedLoop(model, frames)) for model in models]
        for _ in range(ROUNDS):
            reference.work()
            for loop in loops:
                loop.work(plan.closed_s / ROUNDS)
        return [loop.finish() for loop in loops]
