"""Reports for people: sections, tables and plots, as Markdown or as one HTML page that needs nothing else."""

from __future__ import annotations

import html
import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

__all__ = ["Section", "Table", "bars", "html_page", "lines", "markdown"]

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


COLOURS = ("#2f6db5", "#d1782a", "#4a9a4a", "#9a4a9a", "#777777", "#b53a3a")
WIDTH, LEFT, RIGHT = 760, 220, 60
ROW, TOP, FOOT = 22, 26, 44
HEIGHT, AXIS = 300, 60
TEXT = "font-family='system-ui,sans-serif' font-size='12' fill='#222'"
Bar = tuple[float, tuple[float, float] | None]
"""A value, and the interval to be drawn over its end."""


def bars(groups: Mapping[str, Mapping[str, Bar]], *, label: str) -> str:
    """Horizontal bars: a row for each series in each group, in one colour a series.

    Args:
        groups: group's name -> series' name -> bar.
        label: of the axis, with its unit.
    """
    names = list(dict.fromkeys(name for group in groups.values() for name in group))
    ends = [value for group in groups.values() for bar in group.values() for value in (bar[0], *(bar[1] or ()))]
    low, high = min(0.0, *ends), max(ends, default=1.0) or 1.0
    ticks = _ticks(low, high)
    scale = (WIDTH - LEFT - RIGHT) / (max(high, ticks[-1]) - low)

    def at(value: float) -> float:
        return float(LEFT + (value - low) * scale)

    y, drawn = TOP, _legend(names)
    for group, series in groups.items():
        drawn.append(_text(LEFT - 8, y + ROW * len(series) / 2 + 4, group, "end"))
        for name, (value, interval) in series.items():
            left, right = sorted((at(0), at(value)))
            drawn.append(
                f"<rect x='{left:.1f}' y='{y + 3}' width='{max(right - left, 0.5):.1f}' height='{ROW - 7}' "
                f"fill='{COLOURS[names.index(name) % len(COLOURS)]}'/>"
            )
            end = right
            if interval:
                start, end = at(interval[0]), max(right, at(interval[1]))
                drawn.append(_line(start, y + ROW / 2, at(interval[1]), y + ROW / 2, "#222"))
            drawn.append(_text(end + 5, y + ROW / 2 + 4, f"{value:.3g}"))
            y += ROW
        y += 6
    drawn += [_line(at(tick), TOP, at(tick), y, "#ddd") for tick in ticks]
    drawn += [_text(at(tick), y + 16, f"{tick:g}", "middle") for tick in ticks]
    drawn.append(_text((LEFT + WIDTH) / 2, y + 36, label, "middle"))
    return _svg(WIDTH, y + FOOT, drawn)


def lines(
    series: Mapping[str, Sequence[tuple[float, float]]],
    *,
    labels: tuple[str, str],
    dashed: Sequence[str] = (),
    origin: bool = True,
) -> str:
    """Lines through the points (x, y) of each series, with a mark on each point.

    Args:
        series: name -> points.
        labels: of x and y, with their units.
        dashed: series without marks: laws, not measurements.
        origin: begin both axes at 0.
    """
    points = [point for each in series.values() for point in each]
    xs, ys = ([point[axis] for point in points] for axis in (0, 1))
    x_ticks = _ticks(0.0 if origin else min(xs), max(xs))
    y_ticks = _ticks(0.0, max(ys))
    bottom = TOP + HEIGHT

    def place(x: float, y: float) -> tuple[float, float]:
        across = (x - x_ticks[0]) / ((x_ticks[-1] - x_ticks[0]) or 1)
        return AXIS + across * (WIDTH - AXIS - RIGHT), bottom - y / (y_ticks[-1] or 1) * HEIGHT

    drawn = _legend(list(series))
    for tick in x_ticks:
        x = place(tick, 0)[0]
        drawn += [_line(x, TOP, x, bottom, "#eee"), _text(x, bottom + 16, f"{tick:g}", "middle")]
    for tick in y_ticks:
        y = place(x_ticks[0], tick)[1]
        drawn += [_line(AXIS, y, WIDTH - RIGHT, y, "#eee"), _text(AXIS - 6, y + 4, f"{tick:g}", "end")]
    for number, (name, each) in enumerate(series.items()):
        colour = COLOURS[number % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in each))
        dash = " stroke-dasharray='5 4'" if name in dashed else ""
        drawn.append(f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='1.6'{dash}/>")
        if name not in dashed:
            drawn += [
                f"<circle cx='{x:.1f}' cy='{y:.1f}' r='2.6' fill='{colour}'/>" for x, y in (place(*p) for p in each)
            ]
    drawn.append(_text((AXIS + WIDTH - RIGHT) / 2, bottom + 36, labels[0], "middle"))
    drawn.append(f"<text {TEXT} transform='translate(14 {TOP + HEIGHT / 2}) rotate(-90)' text-anchor='middle'>")
    drawn[-1] += f"{html.escape(labels[1])}</text>"
    return _svg(WIDTH, bottom + FOOT, drawn)


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers from at most `low` to at least `high`."""
    span = (high - low) or 1.0
    step = 10 ** math.floor(math.log10(span / 4))
    step *= next(factor for factor in (1, 2, 5, 10) if span / (step * factor) <= 6)
    first = math.floor(low / step + 1e-9)
    count = math.ceil(high / step - 1e-9) - first
    return [round((first + i) * step, 12) for i in range(max(count, 1) + 1)]


def _legend(names: Sequence[str]) -> list[str]:
    drawn, x = [], 8.0
    for number, name in enumerate(names):
        drawn.append(f"<rect x='{x:.0f}' y='6' width='10' height='10' fill='{COLOURS[number % len(COLOURS)]}'/>")
        drawn.append(_text(x + 14, 15, name))
        x += 32 + 6.7 * len(name)
    return drawn


def _text(x: float, y: float, text: str, anchor: str = "start") -> str:
    return f"<text {TEXT} x='{x:.1f}' y='{y:.1f}' text-anchor='{anchor}'>{html.escape(text)}</text>"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f"<line x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}' stroke='{colour}'/>"


def _svg(width: float, height: float, drawn: Sequence[str]) -> str:
    head = f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0f} {height:.0f}' width='{width:.0f}' "
    return f"{head}height='{height:.0f}' style='background:#fff'>" + "".join(drawn) + "</svg>"
