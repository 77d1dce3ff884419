"""Writes the figures and tables of every page between their marks, from benchmarks/results/*.json.

    python docs/figures/generate.py

In a sentence: `<!-- figure NAME -->4.22<!-- / -->`. A table: `<!-- table NAME -->`, the table, `<!-- end -->`.
A name that no result gives is an error. A test checks that every page is as this program writes it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from pathlib import Path

from figure_tables import tables
from figure_values import figures

REPOSITORY = Path(__file__).resolve().parents[2]
FIGURE = re.compile(r"<!-- figure (\S+) -->.*?<!-- / -->", re.DOTALL)
TABLE = re.compile(r"<!-- table (\S+) -->\n.*?<!-- end -->", re.DOTALL)
MARK = re.compile(r"<!-- (?:figure|table) ")


def pages() -> list[Path]:
    """Every page that may have marks."""
    return sorted({*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("[!.]*/**/README.md")})


def render(page: str, single: Mapping[str, str], blocks: Mapping[str, str]) -> str:
    """`page` with what the names give between its marks.

    Args:
        page: Markdown.
        single: Name -> figure.
        blocks: Name -> table.

    Raises:
        ValueError: a name that is not known, or a mark without its end.
    """

    def look_up(names: Mapping[str, str], kind: str, name: str) -> str:
        if name not in names:
            raise ValueError(f"no {kind} is called {name!r}; there are {', '.join(sorted(names))}")
        return names[name]

    parts = len(FIGURE.findall(page)) + len(TABLE.findall(page))
    if parts != len(MARK.findall(page)):
        raise ValueError(f"{len(MARK.findall(page))} marks begin, {parts} end")
    page = FIGURE.sub(lambda m: f"<!-- figure {m[1]} -->{look_up(single, 'figure', m[1])}<!-- / -->", page)
    return TABLE.sub(lambda m: f"<!-- table {m[1]} -->\n\n{look_up(blocks, 'table', m[1])}\n\n<!-- end -->", page)


def main() -> int:
    """Writes the pages that are not fresh."""
    single, blocks = figures(), tables()
    for page in pages():
        text = page.read_text()
        try:
            rendered = render(text, single, blocks)
        except ValueError as error:
            print(f"{page.relative_to(REPOSITORY)}: {error}", file=sys.stderr)
            return 2
        if rendered != text:
            page.write_text(rendered)
    return 0


if __name__ == "__main__":
    sys.exit(main())
