"""Builds the documentation site into .site/html, strictly: a broken link, a page outside the navigation, or a public
name without a docstring fails.

    python docs/site/build.py        (make site)

The pages stand beside the code that they describe, so they are gathered first, with the files that they link to.
"""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import fkp_edge

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = REPOSITORY / ".site/pages"
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
API = """# API

What you may rely on: `import fkp_edge as fkp`. Everything else is private and may change.

"""


def pages() -> list[Path]:
    """Every page, by its path."""
    return sorted({*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/*.md"), *REPOSITORY.glob("[!.]*/**/README.md")})


def gather() -> None:
    """Copies every page and what it links to into `PAGES`."""
    shutil.rmtree(PAGES, ignore_errors=True)
    for page in pages():
        _copy(page)
        for target in LINK.findall(page.read_text()):
            linked = (page.parent / target).resolve()
            if linked.is_file() and linked.suffix != ".md":
                _copy(linked)


def _copy(path: Path) -> None:
    place = PAGES / path.relative_to(REPOSITORY)
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, place)


def public() -> dict[str, object]:
    """The names of the library and what they are."""
    return {name: getattr(fkp_edge, name) for name in fkp_edge.__all__ if not name.startswith("__")}


def undocumented() -> list[str]:
    """Public names, and public methods of public classes, without a docstring of their own."""
    found = []
    for name, thing in public().items():
        if not inspect.getdoc(thing):
            found.append(name)
        members = vars(thing).items() if inspect.isclass(thing) else ()
        found += [
            f"{name}.{member}"
            for member, value in members
            if not member.startswith("_") and inspect.isroutine(value) and not inspect.getdoc(value)
        ]
    return found


def api() -> str:
    """The page of the API, for mkdocstrings."""
    return API + "\n".join(f"::: fkp_edge.{fkp_edge._PLACE_OF[name]}.{name}\n" for name in public())


def main() -> int:
    """Builds; 0 done, 1 where something is missing or broken."""
    if missing := undocumented():
        print(f"without a docstring: {', '.join(missing)}", file=sys.stderr)
        return 1
    gather()
    (PAGES / "docs/api.md").write_text(api())
    # no --quiet: it keeps warnings from mkdocs, too, and --strict then has none to count
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(REPOSITORY / "mkdocs.yml")]
    return int(subprocess.run(command, check=False, env=os.environ | {"NO_MKDOCS_2_WARNING": "1"}).returncode != 0)


if __name__ == "__main__":
    sys.exit(main())
