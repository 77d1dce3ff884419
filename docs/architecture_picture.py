"""Draws architecture.svg: which part of the package imports which, from the imports themselves.

    python docs/architecture_picture.py

An arrow goes from a part to what it imports. Arrows that follow from others are left out: if `app` imports `device` and
`device` imports `core`, no arrow goes from `app` to `core`. A test draws it anew and compares.
"""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

import grimp

PICTURE = Path(__file__).with_name("architecture.svg")
PACKAGE = "fkp_edge"
LEFT_OUT = {"errors", "__main__"}
"""Modules that say nothing: everything imports the errors, and `python -m` is the command line."""
WIDTH, BOX, HEIGHT, GAP = 760, (104, 34), 84, 24

Edges = dict[str, set[str]]


def edges() -> Edges:
    """Each part and the parts that it imports directly."""
    graph = grimp.build_graph(PACKAGE, exclude_type_checking_imports=True)
    parts = {name.partition(".")[2] for name in graph.find_children(PACKAGE)} - LEFT_OUT
    found: Edges = {part: set() for part in sorted(parts)}
    for module in graph.modules:
        source = _part(module)
        for imported in graph.find_modules_directly_imported_by(module):
            target = _part(imported)
            if source in parts and target in parts and source != target:
                found[source].add(target)
    return found


def _part(module: str) -> str:
    return f"{module}.".split(".")[1]


def reachable(part: str, found: Edges) -> set[str]:
    """What `part` imports, directly or through others."""
    seen: set[str] = set()
    rest = list(found[part])
    while rest:
        if (each := rest.pop()) not in seen:
            seen.add(each)
            rest += found[each]
    return seen


def reduced(found: Edges) -> Edges:
    """`found` without the arrows that follow from others."""
    return {
        part: {t for t in targets if not any(t in reachable(other, found) for other in targets - {t})}
        for part, targets in found.items()
    }


def rows(found: Edges) -> list[list[str]]:
    """The parts from those that import most to those that import nothing of ours, each above what it imports.

    Raises:
        ValueError: parts import each other in a circle.
    """
    if circle := [part for part in found if part in reachable(part, found)]:
        raise ValueError(f"these import each other in a circle: {', '.join(circle)}")
    depth: dict[str, int] = {}
    for part in sorted(found, key=lambda each: len(reachable(each, found))):
        depth[part] = 1 + max((depth[target] for target in found[part]), default=-1)
    ordered = sorted(found, key=lambda each: (-depth[each], each))
    return [list(group) for _, group in groupby(ordered, key=depth.__getitem__)]


def draw(found: Edges) -> str:
    """The picture as SVG."""
    levels = rows(found)
    arrows = reduced(found)
    places: dict[str, tuple[float, float]] = {}
    for row, level in reversed(list(enumerate(levels))):
        for index, part in enumerate(level):
            x = WIDTH * (2 * index + 1) / (2 * len(level))
            if len(level) == 1 and (below := arrows[part]):  # above what it imports, so that other arrows pass it
                x = sum(places[target][0] for target in below) / len(below)
            places[part] = x, GAP + row * HEIGHT + BOX[1] / 2
    lines = [_arrow(places[a], places[b]) for a, targets in arrows.items() for b in sorted(targets)]
    boxes = [_box(part, x, y) for part, (x, y) in places.items()]
    height = len(levels) * HEIGHT
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="15">',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#667"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        *lines,
        *boxes,
        "</svg>\n",
    ])  # fmt: skip


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    (x1, y1), (x2, y2) = start, end
    y1, y2 = y1 + BOX[1] / 2, y2 - BOX[1] / 2
    middle = (y1 + y2) / 2
    path = f"M{x1:.0f} {y1:.0f}C{x1:.0f} {middle:.0f} {x2:.0f} {middle:.0f} {x2:.0f} {y2:.0f}"
    return f'<path d="{path}" fill="none" stroke="#667" marker-end="url(#tip)"/>'


def _box(part: str, x: float, y: float) -> str:
    width, height = BOX
    left, top = x - width / 2, y - height / 2
    return (
        f'<rect x="{left:.0f}" y="{top:.0f}" width="{width}" height="{height}" rx="6" fill="#eef2f8" stroke="#456"/>'
        f'<text x="{x:.0f}" y="{y + 5:.0f}" text-anchor="middle">{part}</text>'
    )


if __name__ == "__main__":
    PICTURE.write_text(draw(edges()))
