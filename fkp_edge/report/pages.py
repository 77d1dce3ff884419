"""Reports for people: sections of sentences and tables, as Markdown or as one HTML page that needs nothing else."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = ["Section", "Table", "html_page", "markdown"]

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}"
    "table{border-collapse:collapse;margin:1rem 0;font-size:13px}td,th{border:1px solid #ccc;padding:.2rem .5rem;"
    "text-align:right}td:first-child,th:first-child{text-align:left}img,svg{max-width:100%}"
    "code{background:#f2f2f2;padding:0 .2rem}table{display:block;overflow-x:auto}"
    ".badge{display:inline-block;padding:.1rem .7rem;border-radius:1rem;color:#fff;font-weight:600;margin:0}"
    ".yes{background:#2e7d32}.no{background:#b3261e}"
)


class Table(NamedTuple):
    """Cells as text."""

    head: tuple[str, ...]
    rows: list[tuple[str, ...]]


class Section(NamedTuple):
    """A part of a report."""

    title: str
    lines: list[str]
    """Sentences; `code` in backticks."""
    table: Table | None = None


def markdown(sections: Sequence[Section]) -> str:
    """The report as Markdown; the first section's title is the report's."""
    parts = []
    for number, (title, lines, table) in enumerate(sections):
        parts.append(f"{'##' if number else '#'} {title}")
        parts += lines
        if table:
            rows = [table.head, tuple("---" for _ in table.head), *table.rows]
            parts.append("\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |" for row in rows))
    return "\n\n".join(parts) + "\n"


def html_page(title: str, sections: Sequence[Section], plots: Mapping[str, str], *, passed: bool | None = None) -> str:
    """The report as HTML.

    Args:
        title: of the window.
        sections: as for `markdown`.
        plots: section's title -> an element, such as `<svg>`, that follows it.
        passed: shown as a badge under the title; none where None.
    """
    parts = []
    for number, section in enumerate(sections):
        parts.append(_html_of(section, "h2" if number else "h1", None if number else passed))
        parts.append(plots.get(section.title, ""))
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><title>{html.escape(title)}</title>'
        f"<style>{STYLE}</style>\n" + "\n".join(filter(None, parts)) + "</html>\n"
    )


def _html_of(section: Section, heading: str, passed: bool | None = None) -> str:
    def text(line: str) -> str:
        return re.sub(r"`([^`]*)`", r"<code>\1</code>", html.escape(line))

    parts = [
        f"<{heading}>{html.escape(section.title)}</{heading}>",
        *(
            []
            if passed is None
            else [f'<p class="badge {"yes" if passed else "no"}">{"passed" if passed else "refused"}</p>']
        ),
        *(f"<p>{text(line)}</p>" for line in section.lines),
    ]
    if section.table:
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in section.table.head)
        rows = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in section.table.rows
        )
        parts.append(f"<table><tr>{head}</tr>{rows}</table>")
    return "\n".join(parts)
