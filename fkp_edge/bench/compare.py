"""What changed from one measurement to another, and whether that is more than noise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from fkp_edge.bench.records import STAGES, Accuracy, Latency, Loop, Measured, Result
from fkp_edge.comparison import relative_loss
from fkp_edge.errors import InputError

__all__ = ["Change", "Changes", "compare"]

DRAWS = 2000
FEWEST_BLOCKS = 5
FEWEST_STARTS = 3
LEAST = 1e-6
"""Milliseconds, below what is saved: a stage that took nothing divides nothing."""

Floats = NDArray[np.float64]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one model; less is better for all of them."""

    model: str
    figure: str
    """With its unit."""
    before: float
    after: float
    change_percent: float
    """Of the figure before."""
    interval_percent: tuple[float, float] | None
    """95 % interval of the change: a bootstrap over the saved blocks' medians, or over faces; of starts, of which
    there are few, the least and the most that any two of them differ by. Of times it is wider by what the reference
    work changed. None where there are too few to tell."""

    @property
    def verdict(self) -> str:
        """Worse, better, or within noise."""
        if self.interval_percent is None:
            return "too few to tell"
        low, high = self.interval_percent
        return "worse" if low > 0 else "better" if high < 0 else "within noise"


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison."""

    machine_percent: float
    """What the reference work changed by: the machine was that much slower (or faster, below 0) the second time."""

    before: str
    """The machine of the first measurement, and when."""
    after: str
    same_machine: bool
    remarks: tuple[str, ...]
    """What else differs between the two, and what spoils them."""
    changes: tuple[Change, ...]

    def regressions(self, percent: float) -> list[Change]:
        """What surely is worse by more than `percent`."""
        return [each for each in self.changes if each.interval_percent and each.interval_percent[0] > percent]


def compare(before: Result, after: Result) -> Changes:
    """What changed.

    Raises:
        InputError: no model is in both.
    """
    first, second = ({m.model: m for m in result.models} for result in (before, after))
    common = [name for name in first if name in second]
    if not common:
        raise InputError(
            f"the two have no model in common: {', '.join(first)} and {', '.join(second)}; measure the same names"
        )
    drift = abs(_ratio_interval(before.reference, after.reference)).max()
    changes = [change for name in common for change in _Models(first[name], second[name], drift).changes()]
    return Changes(
        machine_percent=round(100 * (after.reference.p50_ms / before.reference.p50_ms - 1), 2),
        before=f"{before.machine}, {before.made_at}",
        after=f"{after.machine}, {after.made_at}",
        same_machine=before.machine == after.machine,
        remarks=tuple(_remarks(before, after, first, second)),
        changes=tuple(changes),
    )


def _remarks(before: Result, after: Result, first: dict[str, Measured], second: dict[str, Measured]) -> Iterator[str]:
    for name in ("source", "frame_size", "accelerator", "quick"):
        one, other = getattr(before, name), getattr(after, name)
        if one != other:
            yield f"they were not measured alike: {name} {one} and {other}"
    for name in before.software.__struct_fields__:
        one, other = getattr(before.software, name), getattr(after.software, name)
        if one != other:
            yield f"{name} {one or 'unknown'} -> {other or 'unknown'}"
    for name in first.keys() & second.keys():
        if first[name].sha256 != second[name].sha256:
            yield f"{name} is another file: {first[name].sha256[:12]} -> {second[name].sha256[:12]}"
    if alone := sorted(first.keys() ^ second.keys()):
        yield f"in one of them only: {', '.join(alone)}"
    for name, result in (("the first", before), ("the second", after)):
        yield from (f"{name}: {warning}" for warning in result.warnings)


class _Models(NamedTuple):
    """One model in both measurements."""

    before: Measured
    after: Measured
    drift_percent: float
    """What the machine itself may have changed by."""

    @property
    def _drift(self) -> Floats:
        return np.array([-self.drift_percent, self.drift_percent])

    def changes(self) -> Iterator[Change]:
        """All that can be compared."""
        before, after = self.before, self.after
        for field, figure in (("first_keypoints_s", "start: first keypoints, s"), ("peak_mb", "start: peak, MiB")):
            yield from self._starts(field, figure)
        for threads in sorted(before.network.keys() & after.network.keys(), key=int):
            figure = f"network alone, {threads} thread{'' if threads == '1' else 's'}"
            yield self._blocks(figure, before.network[threads], after.network[threads])
        yield from self._loop("closed loop", before.closed, after.closed)
        yield from self._loop("open loop, first minute", before.open.first_minute, after.open.first_minute)
        if before.open.steady and after.open.steady:
            yield from self._loop("open loop, steady", before.open.steady, after.open.steady)
        if before.accuracy and after.accuracy:
            yield from self._accuracy(before.accuracy, after.accuracy)

    def _loop(self, name: str, before: Loop, after: Loop) -> Iterator[Change]:
        for stage in STAGES:
            if stage in before.stages and stage in after.stages:
                yield self._blocks(f"{name}: {stage}", before.stages[stage], after.stages[stage])

    def _starts(self, field: str, figure: str) -> Iterator[Change]:
        first, second = ([getattr(start, field) for start in each.start] for each in (self.before, self.after))
        if None in first + second:
            return
        interval = None
        if min(len(first), len(second)) >= FEWEST_STARTS:
            interval = np.array([min(second) / max(first) - 1, max(second) / min(first) - 1]) * 100
            if field.endswith("_s"):
                interval += self._drift
        yield self._change(figure, float(np.median(first)), float(np.median(second)), interval)

    def _blocks(self, figure: str, before: Latency, after: Latency) -> Change:
        interval = None
        if min(len(before.blocks_ms), len(after.blocks_ms)) >= FEWEST_BLOCKS:
            interval = _ratio_interval(before, after) + self._drift
        return self._change(f"{figure}, p50 ms", before.p50_ms, after.p50_ms, interval)

    def _accuracy(self, before: Accuracy, after: Accuracy) -> Iterator[Change]:
        if (before.sets, before.crops) != (after.sets, after.crops):
            return  # other faces: their difference is no change of the network's
        first, second = (np.array(each.nme_by_face, np.float64) for each in (before, after))
        interval = np.array(relative_loss(first, second).interval_percent)
        yield self._change("NME, %", before.nme_percent, after.nme_percent, interval)

    def _change(self, figure: str, before: float, after: float, interval: Floats | None) -> Change:
        return Change(
            model=self.before.model,
            figure=figure,
            before=before,
            after=after,
            change_percent=round(100 * (after / max(before, LEAST) - 1), 2),
            interval_percent=None if interval is None else (round(float(interval[0]), 2), round(float(interval[1]), 2)),
        )


def _ratio_interval(before: Latency, after: Latency) -> Floats:
    """95 % interval, percent, of the change of the blocks' median: blocks of both drawn anew (Efron, 1979)."""
    rng = np.random.default_rng(0)
    draws = []
    for found in (before, after):
        blocks = np.array(found.blocks_ms)
        draws.append(np.median(blocks[rng.integers(0, len(blocks), (DRAWS, len(blocks)))], axis=1))
    ratios = draws[1] / np.maximum(draws[0], LEAST)
    return np.asarray(100 * (np.percentile(ratios, [2.5, 97.5]) - 1), np.float64)
