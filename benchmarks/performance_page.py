"""Writes what a benchmark found into docs/performance.md, between its marks; the tests hold the page to the results."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["PAGE", "RESULTS", "fill", "table"]

REPOSITORY = Path(__file__).resolve().parents[1]
PAGE = REPOSITORY / "docs/performance.md"
RESULTS = REPOSITORY / "benchmarks/results"


def fill(page: str, name: str, text: str) -> str:
    """`page` with `text` between `<!-- name -->` and `<!-- /name -->`."""
    block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    assert block.search(page), f"the page has no <!-- {name} -->"
    return block.sub(lambda found: f"{found[1]}\n{text.strip()}\n\n{found[2]}", page)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in [head, tuple("---" for _ in head), *rows])
