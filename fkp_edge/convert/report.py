"""The record of a conversion: what was done, what it cost and what it lost; `pages.py` writes it."""

from __future__ import annotations

from typing import Any

import msgspec

from fkp_edge.convert.quantize import LayerError
from fkp_edge.evaluation.comparison import Comparison, Loss
from fkp_edge.report import Section, Table

__all__ = ["Attempt", "Report", "Size", "Step", "sections"]


FOUND_SCORE = 0.9
"""Score from which `fkp-edge run` takes what it sees for a face, unless told otherwise."""
FEW_PERCENT = 50.0
"""Share of validation faces found below which a deployed file is of little use."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the conversion, compared with what it started from."""

    name: str
    comparison: Comparison


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One way of quantising that was tried, against the float network that the conversion started from."""

    how: str
    loss: Loss
    passed: bool


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """The network in one precision."""

    name: str
    bytes: int
    """The flatbuffer."""
    gzip_bytes: int
    """The same, compressed: what a download or an update costs."""
    loss: Loss
    """Against the float network that the conversion started from."""
    rmse_px: float
    """Of a coordinate, pixels of the 96x96 crop."""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """A conversion."""

    model: str
    name: str
    data: dict[str, int]
    """Validation set -> faces."""
    crops: int
    """Of these faces, on which every figure was measured: the labels' own crop, its mirror image and, of whole
    pictures, three framed as the tracker does."""
    recipe: dict[str, Any]
    pruning: str
    quantisation: str
    max_loss_percent: float
    macs: tuple[int, int]
    """Multiply-accumulates of one inference before and after; 0 where they cannot be counted (a SavedModel)."""
    steps: list[Step]
    total: Comparison
    attempts: list[Attempt]
    sizes: list[Size]
    layers: list[LayerError]
    found_percent: tuple[float, float] | None = None
    """Faces of `data` whose score on the labels' crop reaches `FOUND_SCORE`, before and after; None without a score."""

    @property
    def passed(self) -> bool:
        """Whether the loss surely is no larger than allowed."""
        return self.total.overall.interval_percent[1] <= self.max_loss_percent

    @property
    def broken(self) -> list[str]:
        """Points that surely lost more than allowed; where there is none, those that lost most."""
        lost = {name: loss for name, loss in self.total.points.items() if loss.loss_percent > self.max_loss_percent}
        sure = [name for name, loss in lost.items() if loss.interval_percent[0] > self.max_loss_percent]
        return sure or sorted(lost, key=lambda name: -lost[name].loss_percent)[:3]

    @property
    def chosen(self) -> str:
        """On how many ways of quantising the gate looked: each look is another chance to pass."""
        count = len(self.attempts)
        if count == 1:
            return "the one way tried"
        return f"the first of {count} ways that passes" if self.passed else f"the best of {count} ways"

    @property
    def warning(self) -> str:
        """What a person should know before the file is deployed; empty where there is nothing."""
        if self.found_percent is None or self.found_percent[1] >= FEW_PERCENT:
            return ""
        before, after = self.found_percent
        return (
            f"run would find {'nobody' if after < 1 else 'few people'}: {after:.0f} % of the validation faces score "
            f"{FOUND_SCORE} or more ({before:.0f} % before); train longer, or lower found_score"
        )

    @property
    def verdict(self) -> str:
        """One line."""
        overall = self.total.overall
        faces = f"{overall.faces} faces"
        if overall.subjects != overall.faces:
            faces += f" of {overall.subjects} people"
        measured = (
            f"loses {overall.loss_percent:+z.2f} % of the NME, at most {overall.interval_percent[1]:z.2f} % "
            f"(95 % interval, {faces}, {self.chosen})"
        )
        if self.passed:
            return f"passes: it {measured}; allowed are {self.max_loss_percent:g} %"
        points = f"; most on {', '.join(self.broken)}" if self.broken else ""
        return f"does not pass: it {measured}, allowed are {self.max_loss_percent:g} %{points}"


def sections(report: Report) -> list[Section]:
    """The report for people, whatever they read it with; the first section's title is the report's."""
    verdict = report.verdict[0].upper() + report.verdict[1:] + "."
    by_step = {step.name: step.comparison.overall for step in report.steps} | {"in all": report.total.overall}
    noise = "Signal-to-noise ratio that int8 leaves in each layer's output, the layer's inputs being exact."
    layers = Table(("layer", "SNR, dB"), [(error.layer, f"{error.snr_db:.1f}") for error in report.layers])
    return [
        Section(f"{report.name}: conversion report", [verdict, *_warned(report), *_made(report)]),
        Section("Loss step by step", [], _losses(by_step, "step")),
        Section("By validation set", [], _losses(report.total.sets, "set")),
        Section("By point", [], _points(report.total)),
        Section("Ways of quantising that were tried", [], _losses({a.how: a.loss for a in report.attempts}, "way")),
        Section("Precisions compared", [], _sizes(report)),
        Section("Layers, worst first", [noise], layers),
    ]


def _warned(report: Report) -> list[str]:
    return [f"Warning: {report.warning}."] if report.warning else []


def _made(report: Report) -> list[str]:
    faces = ", ".join(f"{name} ({count} faces)" for name, count in report.data.items())
    before, after = report.macs
    found = []
    if report.found_percent is not None:
        found.append(
            f"Faces found (a score of {FOUND_SCORE} or more on the labels' crop): {report.found_percent[0]:.1f} % "
            f"before, {report.found_percent[1]:.1f} % after."
        )
    work = [f"Multiply-accumulates of one inference: {before:,} before, {after:,} after."] if before else []
    return [
        f"From `{report.model}`.",
        f"Pruning: {report.pruning or 'none'}.",
        f"Quantisation: {report.quantisation}.",
        *work,
        *found,
        f"Every figure is of {report.crops:,} crops of {faces}, on which nothing was calibrated or trained. NME: mean "
        "distance of the points over that of the outer eye corners. Intervals are 95 %, a bootstrap over people.",
    ]


def _losses(losses: dict[str, Loss], first: str) -> Table:
    head = (first, "faces", "people", "NME before, %", "NME after, %", "lost, % of it", "95 % interval")
    return Table(
        head,
        [
            (
                name,
                str(loss.faces),
                str(loss.subjects),
                f"{loss.before_percent:.3f}",
                f"{loss.after_percent:.3f}",
                f"{loss.loss_percent:+z.2f}",
                "{:+z.2f} to {:+z.2f}".format(*loss.interval_percent),
            )
            for name, loss in losses.items()
        ],
    )


def _points(total: Comparison) -> Table:
    head = ("point", "NME before, %", "NME after, %", "lost, % of it", "95 % interval", "RMSE before, px", "after, px")
    rows = [
        (
            name,
            f"{loss.before_percent:.3f}",
            f"{loss.after_percent:.3f}",
            f"{loss.loss_percent:+z.2f}",
            "{:+z.2f} to {:+z.2f}".format(*loss.interval_percent),
            *(f"{value:.3f}" for value in total.rmse_px_by_point[name]),
        )
        for name, loss in total.points.items()
    ]
    every = total.overall
    rows.append(
        (
            "all",
            f"{every.before_percent:.3f}",
            f"{every.after_percent:.3f}",
            f"{every.loss_percent:+z.2f}",
            "{:+z.2f} to {:+z.2f}".format(*every.interval_percent),
            *(f"{value:.3f}" for value in total.rmse_px),
        )
    )
    return Table(head, rows)


def _sizes(report: Report) -> Table:
    head = ("precision", "flatbuffer, kB", "compressed, kB", "NME, %", "lost, % of it", "95 % interval", "RMSE, px")
    return Table(
        head,
        [
            (
                size.name,
                f"{size.bytes / 1000:.1f}",
                f"{size.gzip_bytes / 1000:.1f}",
                f"{size.loss.after_percent:.3f}",
                f"{size.loss.loss_percent:+z.2f}",
                "{:+z.2f} to {:+z.2f}".format(*size.loss.interval_percent),
                f"{size.rmse_px:.3f}",
            )
            for size in report.sizes
        ],
    )
