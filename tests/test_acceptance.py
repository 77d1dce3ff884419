"""What the shipped files must hold on labelled photographs; skipped where those are not beside the repository."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fkp_edge.models import shipped_model

INT8, FLOAT32 = "keypoints-int8.tflite", "keypoints-float32.tflite"


def run_eval(*arguments: str) -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "fkp_edge", "eval", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    return {entry["model"]: entry for entry in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def figures(research_data: Path) -> dict[str, dict[str, Any]]:
    models = [str(shipped_model(name.removesuffix(".tflite"))) for name in (INT8, FLOAT32)]
    return run_eval(*models, "--data", str(research_data / "test"))


@pytest.fixture(scope="module")
def scenes(research_data: Path) -> dict[str, Any]:
    data = str(research_data / "test")
    return run_eval(str(shipped_model()), "--data", data, "--scenes")[INT8]["scenes"]


@pytest.mark.parametrize(("name", "most_percent"), [("afw", 5.5), ("ytf", 6.0)])
def test_int8_error(figures: dict[str, Any], name: str, most_percent: float) -> None:
    assert figures[INT8]["sets"][name]["nme_percent"] <= most_percent


@pytest.mark.parametrize("name", ["afw", "ytf"])
def test_int8_loses_little(figures: dict[str, Any], name: str) -> None:
    nme = [figures[model]["sets"][name]["nme_percent"] for model in (INT8, FLOAT32)]
    assert nme[0] <= 1.015 * nme[1]


def test_published_figures_are_what_this_machine_measures(figures: dict[str, Any]) -> None:
    published = Path(__file__).resolve().parents[1] / "benchmarks/results/accuracy_gt.json"
    for entry in json.loads(published.read_text()):
        for name, figure in entry["sets"].items():
            measured = figures[entry["model"]]["sets"][name]["nme_percent"]
            assert measured == pytest.approx(figure["nme_percent"], abs=0.01)


def test_score_tells_faces_from_haars_errors(scenes: dict[str, Any]) -> None:
    assert scenes["score_auc"] >= 0.98


def test_predict_finds_the_annotated_faces(scenes: dict[str, Any]) -> None:
    assert scenes["found_percent"] >= 80
    assert scenes["false_faces_per_photograph"] <= 0.15
