"""The pages are true: figures are those of the committed results, commands exist, links lead somewhere."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from fkp_edge.cli.command_line import build_parser

REPOSITORY = Path(__file__).resolve().parents[1]
PAGES = [
    *REPOSITORY.glob("*.md"),
    *REPOSITORY.glob("*/README.md"),
    *REPOSITORY.glob("train/published/README.md"),
    *REPOSITORY.glob("docs/*.md"),
]


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """docs/figures/generate.py, which as a program finds its tables beside it."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "docs/figures"))
    monkeypatch.delitem(sys.modules, "generate", raising=False)  # other pages have programs of this name
    return importlib.import_module("generate")


def test_every_page_has_the_figures_of_the_results(generate: ModuleType) -> None:
    figures, tables = generate.figures(), generate.tables()
    stale = [
        page for page in generate.pages() if generate.render(page.read_text(), figures, tables) != page.read_text()
    ]
    assert stale == [], "run make docs"


def test_figures_and_tables_are_written_between_their_marks(generate: ModuleType) -> None:
    page = "a <!-- figure x -->1<!-- / --> b\n<!-- table t -->\nold\n<!-- end -->\n"
    fresh = "a <!-- figure x -->2<!-- / --> b\n<!-- table t -->\n\n| n |\n\n<!-- end -->\n"
    assert generate.render(page, {"x": "2"}, {"t": "| n |"}) == fresh
    assert generate.render(fresh, {"x": "2"}, {"t": "| n |"}) == fresh


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("<!-- figure y -->1<!-- / -->", "no figure is called 'y'; there are x"),
        ("<!-- table y -->\n<!-- end -->", "no table is called 'y'; there are t"),
        ("<!-- figure x -->1", "1 marks begin, 0 end"),
    ],
)
def test_a_mark_that_cannot_be_filled_is_an_error(generate: ModuleType, page: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        generate.render(page, {"x": "2"}, {"t": ""})


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_row_of_a_table_has_as_many_cells_as_its_head(path: Path) -> None:
    head = 0
    for number, line in enumerate(path.read_text().splitlines(), 1):
        cells = len(re.findall(r"(?<!\\)\|", re.sub(r"`[^`]*`", "", line))) if line.startswith("|") else 0
        assert not head or cells in (0, head), f"line {number}: {line}"
        head = cells and (head or cells)


def test_the_picture_of_the_parts_is_that_of_the_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "docs"))
    picture = importlib.import_module("architecture_picture")
    assert picture.draw(picture.edges()) == picture.PICTURE.read_text(), "run make docs"


def results(name: str) -> Any:
    return json.loads((REPOSITORY / f"benchmarks/results/{name}.json").read_text())


@pytest.mark.parametrize("name", ["start", "growth", "limit"])
def test_the_performance_page_comes_from_the_results(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))  # as a program it finds performance_page.py beside it
    page = importlib.import_module(name).page(results(name))
    assert page.strip() in (REPOSITORY / "docs/performance.md").read_text()


def test_instructions_on_the_performance_page_come_from_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(REPOSITORY / "benchmarks"))
    page = importlib.import_module("bench_arm64").page(results("instructions"), results("engine_arm64"))
    assert page.strip() in (REPOSITORY / "docs/performance.md").read_text()


def test_every_command_and_option_in_the_table_exists() -> None:
    rows = re.findall(
        r"^\| `fkp-edge ((?:data|model) \w+|\w+)([^`]*)`", (REPOSITORY / "docs/commands.md").read_text(), re.MULTILINE
    )
    parsers = dict(next(a for a in build_parser()._actions if a.dest == "command").choices)
    for group in ("data", "model"):
        actions = next(a for a in parsers.pop(group)._actions if a.dest == "action").choices
        parsers |= {f"{group} {action}": parser for action, parser in actions.items()}
    assert {command for command, _ in rows} == set(parsers)
    for command, rest in rows:
        options = parsers[command]._option_string_actions
        assert set(re.findall(r"--[a-z-]+", rest)) <= set(options), command


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        assert target.startswith("http") or (page.parent / target).exists(), target


def anchors(page: Path) -> set[str]:
    """What the forge calls the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_to_headings(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(((?!http)[^)#]*)#([^)]+)\)", page.read_text()):
        assert anchor in anchors(page.parent / target if target else page), f"{target}#{anchor}"


def test_the_index_has_every_page() -> None:
    linked = set(re.findall(r"\]\(([\w-]+\.md)", (REPOSITORY / "docs/README.md").read_text()))
    assert linked == {page.name for page in REPOSITORY.glob("docs/*.md")} - {"README.md"}


def test_the_python_example_finds_faces() -> None:
    example = re.search(r"```python\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)[1]
    done = subprocess.run([sys.executable, "-c", example], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("[") > 1


def test_the_python_example_reads_the_stream(tmp_path: Path) -> None:
    readme = (REPOSITORY / "README.md").read_text()
    example = next(e for e in re.findall(r"```python\n(.*?)```", readme, re.DOTALL) if "connect(" in e)
    run = [sys.executable, "-m", "fkp_edge", "run", "--source", "demo", "--stream", "tcp://127.0.0.1:0"]
    with subprocess.Popen(run, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        url = next(m[1] for line in process.stderr if (m := re.search(r"streaming on (\S+);", line)))
        code = example.replace("tcp://127.0.0.1:8765", url)
        reader = [sys.executable, "-u", "-c", code]
        with subprocess.Popen(reader, stdout=subprocess.PIPE, text=True) as program:
            lines = [program.stdout.readline() for _ in range(3)]
            program.kill()
        process.terminate()
    assert all(re.fullmatch(r"1 \(\d+\.\d+, \d+\.\d+\)\n", line) for line in lines), lines
