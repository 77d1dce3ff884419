"""What changed from one measurement to another, and whether that is more than noise."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np

from fkp_edge.bench.records import STAGES, Accuracy, Latency, Loop, Measured, Result
from fkp_edge.errors import InputError
from fkp_edge.evaluation.comparison import relative_loss
from fkp_edge.evaluation.metrics import Floats, median_change, share_difference

__all__ = ["BETWEEN_RUNS_PERCENT", "Change", "Changes", "compare"]

MIN_BLOCKS = 5
MIN_STARTS = 3
BETWEEN_RUNS_PERCENT = 2.0
"""What two runs of one program differ by beyond what spans of one run and the reference work tell: another process has
its memory elsewhere. Measured on one busy machine, benchmarks/results/between_runs.json; yours may differ by more."""
TAILED = ("engine", "end to end")
ESSENTIAL = ("infer", "end to end")
"""Stages without which no keypoints came, or none reached the client."""
LEAST = 1e-6
"""Milliseconds, below what is saved: a stage that took nothing divides nothing."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of one model; less is better for all of them."""

    model: str
    figure: str
    """With its unit."""
    before: float
    after: float | None
    """None where there is nothing any more, which is worse than any percentage."""
    change_percent: float | None
    """Of the figure before; None where nothing is left."""
    interval_percent: tuple[float, float] | None
    """95 % interval of the change. Times: a bootstrap over the saved spans. Frames lost: Newcombe's of two shares. Both
    are wider by what the reference work changed and by `BETWEEN_RUNS_PERCENT`. Starts, of which there are few: the
    least and the most that any two of them differ by, wider by the reference work. NME: a bootstrap over people. Bytes:
    exact. None where there are too few to tell, where nothing is left, and of the RMSE, which is not saved by face."""

    @property
    def verdict(self) -> str:
        """Worse, better, within noise, the same, or not known."""
        if self.after is None:
            return "worse"
        if self.interval_percent is None:
            return "not known"
        low, high = self.interval_percent
        if low == high == 0:
            return "the same"
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
        """What surely is worse by more than `percent`, or gone."""
        return [
            each
            for each in self.changes
            if each.after is None or (each.interval_percent and each.interval_percent[0] > percent)
        ]


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
    drift = abs(median_change(before.reference.blocks_ms, after.reference.blocks_ms)).max()
    found = [each for name in common for each in _Models(first[name], second[name], drift).changes()]
    return Changes(
        machine_percent=round(100 * (after.reference.p50_ms / before.reference.p50_ms - 1), 2),
        before=f"{before.machine}, {before.made_at}",
        after=f"{after.machine}, {after.made_at}",
        same_machine=before.machine == after.machine,
        remarks=(*_remarks(before, after, first, second), *(each for each in found if isinstance(each, str))),
        changes=tuple(each for each in found if isinstance(each, Change)),
    )


def _remarks(before: Result, after: Result, first: dict[str, Measured], second: dict[str, Measured]) -> Iterator[str]:
    for name in ("source", "frame_size", "seconds", "quick"):
        one, other = getattr(before, name), getattr(after, name)
        if one != other:
            yield f"they were not measured alike: {name} {one} and {other}"
    for name in before.software.__struct_fields__:
        one, other = getattr(before.software, name), getattr(after.software, name)
        if one != other:
            yield f"{name} {one or 'unknown'} -> {other or 'unknown'}"
    for name in (name for name in first if name in second):
        one, other = first[name], second[name]
        if one.sha256 != other.sha256:
            yield f"{name} is another file: {one.sha256[:12]} -> {other.sha256[:12]}"
        if one.accelerator != other.accelerator:
            yield f"{name} ran on another accelerator: {one.accelerator} -> {other.accelerator}"
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

    def changes(self) -> Iterator[Change | str]:
        """All that can be compared, and remarks on what cannot."""
        before, after = self.before, self.after
        yield from self._starts("first_keypoints_s", "start: first keypoints, s")
        yield from self._starts("peak_mb", "start: peak, MiB")
        yield self._exactly("flatbuffer, kB", before.flatbuffer_bytes / 1000, after.flatbuffer_bytes / 1000)
        for threads in sorted(before.network.keys() | after.network.keys(), key=int):
            figure = f"network alone, {threads} thread{'' if threads == '1' else 's'}"
            one, other = before.network.get(threads), after.network.get(threads)
            yield self._blocks(figure, one, other) if one and other else self._alone(figure, one)
        yield from self._loop("closed loop", before.closed, after.closed)
        yield from self._loop("open loop, first minute", before.open.first_minute, after.open.first_minute)
        if before.open.steady and after.open.steady:
            yield from self._loop("open loop, steady", before.open.steady, after.open.steady)
        elif before.open.steady or after.open.steady:
            yield self._alone("open loop, steady", before.open.steady)
        if before.accuracy and after.accuracy:
            yield from self._accuracy(before.accuracy, after.accuracy)
        elif before.accuracy or after.accuracy:
            yield self._alone("accuracy", before.accuracy)

    def _loop(self, name: str, before: Loop, after: Loop) -> Iterator[Change | str]:
        yield from self._lost(name, before, after)
        for stage in STAGES:
            figure = f"{name}: {stage}"
            one, other = before.stages.get(stage), after.stages.get(stage)
            if one and other:
                yield self._blocks(figure, one, other)
                if stage in TAILED:
                    yield self._tails(figure, one, other)
            elif one and stage in ESSENTIAL:
                yield self._gone(f"{figure}, p50 ms", one.p50_ms)
            elif one or other:
                yield self._alone(figure, one)

    def _lost(self, name: str, before: Loop, after: Loop) -> Iterator[Change | str]:
        """Frames due for each that the client received, 1 where none is lost: a share lost has no change from 0.

        Newcombe's interval of the difference of the shares lost as a change of that figure, the share before held. It
        takes frames to be lost one by one, but a machine at other work loses many in a row: so it is widened as that of
        a time is.
        """
        figure = f"{name}: frames due for each received"
        if before.lost == before.due or not after.due:
            yield f"{self.before.model}, {figure}: not compared, {before.due} and {after.due} were due"
            return
        kept = 1 - before.lost / before.due
        if after.lost == after.due:
            yield self._gone(figure, 1 / kept)
            return
        differences = share_difference((before.lost, before.due), (after.lost, after.due))
        interval = self._widened(100 * differences / np.maximum(kept - differences, LEAST))
        yield self._change(figure, 1 / kept, after.due / (after.due - after.lost), interval)

    def _starts(self, field: str, figure: str) -> Iterator[Change | str]:
        first, second = (
            [value for start in each.start if (value := getattr(start, field)) is not None]
            for each in (self.before, self.after)
        )
        for name, known, each in (("first", first, self.before), ("second", second, self.after)):
            if none := len(each.start) - len(known):
                yield f"{each.model}, {figure}: none in {none} of {len(each.start)} starts of the {name}"
        if first and second:
            yield self._few(figure, first, second, drifts=field.endswith("_s"))
        elif first:
            yield self._gone(figure, float(np.median(first)))

    def _few(self, figure: str, first: list[float], second: list[float], *, drifts: bool) -> Change:
        interval = None
        if min(len(first), len(second)) >= MIN_STARTS:
            interval = np.array([min(second) / max(first) - 1, max(second) / min(first) - 1]) * 100
            interval += self._drift if drifts else 0
        return self._change(figure, float(np.median(first)), float(np.median(second)), interval)

    def _blocks(self, figure: str, before: Latency, after: Latency) -> Change:
        interval = self._spans(before.blocks_ms, after.blocks_ms)
        return self._change(f"{figure}, p50 ms", before.p50_ms, after.p50_ms, interval)

    def _tails(self, figure: str, before: Latency, after: Latency) -> Change:
        """Of the spans' own 99th percentiles the median: one burst of a run moves it little, a longer tail does."""
        first, second = (float(np.median(each.tails_ms)) for each in (before, after))
        return self._change(f"{figure}, p99 ms", first, second, self._spans(before.tails_ms, after.tails_ms))

    def _spans(self, before: tuple[float, ...], after: tuple[float, ...]) -> Floats | None:
        if min(len(before), len(after)) < MIN_BLOCKS:
            return None
        return self._widened(median_change(before, after))

    def _widened(self, interval: Floats) -> Floats:
        return interval + self._drift + [-BETWEEN_RUNS_PERCENT, BETWEEN_RUNS_PERCENT]

    def _accuracy(self, before: Accuracy, after: Accuracy) -> Iterator[Change | str]:
        if (before.sets, before.crops) != (after.sets, after.crops):
            yield f"{self.before.model}: accuracy on other faces: {_faces(before)} and {_faces(after)}, not compared"
            return
        first, second = (np.array(each.nme_by_face, np.float64) for each in (before, after))
        subject = None if after.subject_by_face is None else np.array(after.subject_by_face)
        interval = np.array(relative_loss(first, second, subject).interval_percent)
        yield self._change("NME, %", before.nme_percent, after.nme_percent, interval)
        yield self._change("RMSE, px", before.rmse_px, after.rmse_px, None)

    def _alone(self, figure: str, before: object) -> str:
        return f"{self.before.model}, {figure}: in the {'first' if before else 'second'} only, not compared"

    def _gone(self, figure: str, before: float) -> Change:
        return Change(
            model=self.before.model,
            figure=figure,
            before=before,
            after=None,
            change_percent=None,
            interval_percent=None,
        )

    def _exactly(self, figure: str, before: float, after: float) -> Change:
        change = 100 * (after / max(before, LEAST) - 1)
        return self._change(figure, before, after, np.array([change, change]))

    def _change(self, figure: str, before: float, after: float, interval: Floats | None) -> Change:
        interval_percent = None
        if interval is not None and np.isfinite(interval).all():  # faces without a known error have no interval
            interval_percent = (round(float(interval[0]), 2), round(float(interval[1]), 2))
        return Change(
            model=self.before.model,
            figure=figure,
            before=before,
            after=after,
            change_percent=round(100 * (after / max(before, LEAST) - 1), 2),
            interval_percent=interval_percent,
        )


def _faces(found: Accuracy) -> str:
    return f"{', '.join(f'{name} {count}' for name, count in found.sets.items())} in {found.crops} crops"
