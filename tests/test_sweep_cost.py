"""What a sweep's points cost: their networks as int8 files, counted by a stand-in for the emulator."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest

pytest.importorskip("tensorflow", reason="the training part is not installed: pip install 'fkp-edge[train]'")

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"
RECIPE = """
name = "tiny"
data = {train = {"t" = 1}, val = ["v"]}
fit = {epochs = 1}
[network]
stem = 8
blocks = [[8, 2, 1], [8, 2, 1], [8, 2, 1]]
head = 16
squeeze = 8
"""
POINTS = "[wide]\nnetwork.head = 64\n[as-it-is]\nfit.seed = 1\n[longer]\nfit.epochs = 9\n"


@pytest.fixture
def sweep_cost(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))  # as a program it finds the others beside it
    return importlib.import_module("sweep_cost")


def test_each_distinct_network_is_counted_once(sweep_cost: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(RECIPE)
    (tmp_path / "points.toml").write_text(POINTS)
    counted: list[Path] = []

    def count(files: Sequence[Path]) -> dict[str, list[float]]:
        counted.extend(files)
        return {"pi4": [float(file.stat().st_size) for file in files]}

    points = sweep_cost.read_points(tmp_path / "recipe.toml", tmp_path / "points.toml")
    longer, _, wide = found = sweep_cost.costs(points, count, {"wide": 3.5})
    assert len(counted) == 2
    assert {cost.point for cost in found} == set(points)
    assert (wide.point, wide.nme_percent, longer.nme_percent) == ("wide", 3.5, None)
    assert wide.multiply_accumulates - longer.multiply_accumulates == 2 * 36 * 8 * (64 - 16)
