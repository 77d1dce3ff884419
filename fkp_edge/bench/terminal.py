"""A measurement, and what changed from one to another, in columns for the terminal."""

from __future__ import annotations

from fkp_edge.bench.compare import BETWEEN_RUNS_PERCENT, Changes
from fkp_edge.bench.records import Result
from fkp_edge.bench.report import sections
from fkp_edge.report.pages import Table

__all__ = ["changes_table", "terminal"]

CAMERA_RATE = 30
"""Frames a second of most cameras."""


def terminal(result: Result) -> str:
    """What it comes to in a sentence, then the sections of the report."""
    parts = [_verdict(result)]
    for title, said, table in sections(result):
        if title == "Open loop over time":  # a plot's
            continue
        parts += ["", title, *said]
        parts += _columns(table) if table else []
    return "\n".join(parts).replace("`", "")


def _verdict(result: Result) -> str:
    """The first model's frames a second and p95, against a camera of 30 frames a second."""
    first = result.models[0]
    loop = first.open.steady or first.open.first_minute
    rate = first.closed.frames / first.closed.seconds
    name = first.model.removesuffix(".tflite")
    late = loop.stages.get("end to end")
    p95 = "" if late is None else f", and 95 % of frames reach a client within {late.p95_ms:.1f} ms"
    as_a_camera = (first.open.rate or 0.0) >= CAMERA_RATE  # then what was lost says it, whatever else was at work
    keeps_up = loop.lost <= 0.01 * loop.due and (as_a_camera or rate >= CAMERA_RATE)
    enough = "fast enough" if keeps_up else "too slow"
    return (
        f"{name} follows a face at {rate:.0f} frames/s here{p95}: {enough} for a camera of {CAMERA_RATE} frames/s "
        f"({1000 / CAMERA_RATE:.0f} ms a frame), of which {loop.lost} of {loop.due} were lost."
    )


def _columns(table: Table) -> list[str]:
    rows = [table.head, *table.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.head))]
    return [
        row[0].ljust(widths[0]) + "".join(f"  {cell:>{w}}" for cell, w in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]


def changes_table(found: Changes) -> str:
    """A comparison for the terminal."""
    if found.same_machine:
        said = [f"Both on {found.before}", f"and then  {found.after}."]
    else:
        said = [
            "DIFFERENT MACHINES: this compares one with the other, and says nothing of a change of the program.",
            f"first:  {found.before}",
            f"second: {found.after}",
        ]
    rows: list[tuple[str, ...]] = [
        (
            f"{change.model.removesuffix('.tflite')}, {change.figure}",
            f"{change.before:.3f}",
            "none" if change.after is None else f"{change.after:.3f}",
            "" if change.change_percent is None else f"{change.change_percent:+.1f} %",
            "{:+.1f} to {:+.1f}".format(*change.interval_percent) if change.interval_percent else "",
            change.verdict,
        )
        for change in found.changes
    ]
    head = ("figure", "before", "after", "change", "95 % interval", "")
    noise = (
        "Noise is what spans of one run differ by, what work that never changes took otherwise the second time "
        f"({found.machine_percent:+.1f} %), and {BETWEEN_RUNS_PERCENT:g} % that two runs of one program "
        "differed by on one machine. Yours may differ by more: measure again before you blame the program."
    )
    return "\n".join([*said, *(f"Remark: {remark}." for remark in found.remarks), *_columns(Table(head, rows)), noise])
