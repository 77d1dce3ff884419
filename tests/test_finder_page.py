"""docs/finder.md shows what benchmarks/results/finder.json says, of the file that ships."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from fkp_edge.model.finder import open_finder
from fkp_edge.model.shipped import shipped_model

REPOSITORY = Path(__file__).resolve().parents[1]
RECORD = json.loads((REPOSITORY / "benchmarks/results/finder.json").read_text())


def test_the_page_shows_the_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(REPOSITORY / "benchmarks"), *sys.path])
    import finder_page as page  # type: ignore[import-not-found]

    text = page.PAGE.read_text()
    for name, block in page.blocks(RECORD).items():
        assert block in text, name


def test_the_results_are_of_the_file_that_ships() -> None:
    assert RECORD["model_sha256"] == open_finder(shipped_model("finder-int8")).file.sha256
