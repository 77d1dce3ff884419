"""What the shipped files must hold on labelled photographs; skipped where those are not beside the repository."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from fkp_edge.model.shipped import shipped_model

PEOPLE = Path(__file__).resolve().parents[1] / "benchmarks/people_nobody_annotated.json"
INT8, FLOAT32, SMALL = "keypoints-int8.tflite", "keypoints-float32.tflite", "keypoints-small-int8.tflite"
INT8_68, FLOAT32_68 = "keypoints68-int8.tflite", "keypoints68-float32.tflite"


def run_eval(*arguments: str) -> dict[str, dict[str, Any]]:
    command = [sys.executable, "-m", "fkp_edge", "eval", *arguments, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
    return {entry["model"]: entry for entry in json.loads(done.stdout)}


@pytest.fixture(scope="module")
def figures(research_data: Path) -> dict[str, dict[str, Any]]:
    names = (INT8, FLOAT32, SMALL, INT8_68, FLOAT32_68)
    return run_eval(*(name.removesuffix(".tflite") for name in names), "--data", str(research_data / "test"))


@pytest.fixture(scope="module")
def scenes(research_data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Whole photographs; people whom nobody annotated, each seen by a person, count neither way."""
    data = tmp_path_factory.mktemp("test")
    (data / "afw").symlink_to(research_data / "test/afw")
    (data / "scenes").mkdir()
    for path in (research_data / "test/scenes").iterdir():
        (data / "scenes" / path.name).symlink_to(path)
    unannotated = data / "scenes/unannotated.json"
    boxes = json.loads(unannotated.read_text())
    for photograph, people in json.loads(PEOPLE.read_text()).items():
        boxes[photograph] = [*boxes.get(photograph, []), *people]
    unannotated.unlink()
    unannotated.write_text(json.dumps(boxes))
    return run_eval(str(shipped_model()), "--data", str(data), "--scenes")[INT8]["scenes"]


@pytest.mark.parametrize(
    ("model", "name", "most_percent"), [(INT8, "afw", 4.5), (INT8, "ytf", 5.0), (INT8_68, "afw", 5.8)]
)
def test_int8_error(figures: dict[str, Any], model: str, name: str, most_percent: float) -> None:
    assert figures[model]["sets"][name]["nme_percent"] <= most_percent


@pytest.mark.parametrize("name", ["afw", "ytf"])
def test_few_faces_fail(figures: dict[str, Any], name: str) -> None:
    assert figures[INT8]["sets"][name]["failures_percent"] <= 2


@pytest.mark.parametrize("name", ["afw", "ytf"])
@pytest.mark.parametrize(("int8", "float32"), [(INT8, FLOAT32), (INT8_68, FLOAT32_68)])
def test_int8_loses_little(figures: dict[str, Any], name: str, int8: str, float32: str) -> None:
    nme = [figures[model]["sets"][name]["nme_percent"] for model in (int8, float32)]
    assert nme[0] <= 1.005 * nme[1]


def test_published_figures_are_what_this_machine_measures(figures: dict[str, Any]) -> None:
    results = Path(__file__).resolve().parents[1] / "benchmarks/results"
    entries = [json.loads((results / f"{name}.json").read_text()) for name in ("accuracy_gt", "accuracy68")]
    for entry in chain(*entries):
        for name, figure in entry["sets"].items():
            measured = figures[entry["model"]]["sets"][name]["nme_percent"]
            assert measured == pytest.approx(figure["nme_percent"], abs=0.01)


def test_score_tells_faces_from_haars_errors(scenes: dict[str, Any]) -> None:
    assert scenes["score_auc"] >= 0.99


def test_predict_finds_the_annotated_faces(scenes: dict[str, Any]) -> None:
    assert scenes["found_percent"] >= 97.5
    assert scenes["false_faces_per_photograph"] <= 0.05
