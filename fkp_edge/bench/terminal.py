"""A measurement, and what changed from one to another, in columns for the terminal."""

from __future__ import annotations

from fkp_edge.bench.compare import BETWEEN_RUNS_PERCENT, Changes
from fkp_edge.bench.records import Result
from fkp_edge.bench.report import sections
from fkp_edge.report.pages import Table

__all__ = ["changes_table", "terminal"]


def terminal(result: Result) -> str:
    """The sections of the report."""
    parts: list[str] = []
    for title, said, table in sections(result):
        if title == "Open loop over time":  # a plot's
            continue
        parts += ["", title, *said] if parts else [title, *said]
        parts += _columns(table) if table else []
    return "\n".join(parts).replace("`", "")


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
