"""A finder's recipe goes through the commands: trained, converted, verified."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from fkp_edge.cli.main import main
from fkp_edge.core.keypoints import IBUG68
from fkp_edge.data.pictures import portrait
from fkp_edge.train.registry import read_recipe

RECIPE = """
kind = "finder"
name = "tiny"
[data]
scenes = "scenes"
val_scenes = "scenes"
note = "the portrait"
[network]
stem = [4, 4]
fine = [[8, 2, 1]]
coarse = [[8, 2, 1]]
whole = [[8, 2, 1]]
joined = 8
[fit]
epochs = 1
steps = 2
batch = 2
part = 64
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one photograph, the portrait, with a face where 68 points of a mean shape lie."""
    folder = tmp_path_factory.mktemp("data")
    (folder / "scenes").mkdir()
    picture = cv2.resize(portrait(), (256, 256))
    cv2.imwrite(str(folder / "scenes/a.png"), picture)
    points = IBUG68.mean_shape * 70 + (75, 30)
    (folder / "scenes/faces.json").write_text(json.dumps({"a.png": [points.tolist()]}))
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def run(data: Path) -> Path:
    assert main(["train", str(data / "recipe.toml"), "--data", str(data), "--out", str(data / "run")]) == 0
    return data / "run"


def test_training_leaves_a_model_that_says_what_it_is(run: Path) -> None:
    described = json.loads((run / "model.json").read_text())
    assert described["recipe"]["kind"] == "finder"
    assert described["validation"]["scenes"]["faces"] == 1
    assert len((run / "history.jsonl").read_text().splitlines()) == 1


def test_a_finder_that_finds_nothing_is_not_converted(
    run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = data / "tiny-int8.tflite"
    (data / "c.toml").write_text("remedies = false\n[calibration]\ncount = 2\n")
    code = main(["convert", str(run / "model.keras"), str(data / "c.toml"), "--data", str(data), "--out", str(out)])
    report = json.loads(out.with_suffix(".report.json").read_text())
    assert (report["faces"], report["proposals"]) == (1, 5)
    assert (code, out.exists()) == ((0, True) if report["recall_percent"] else (1, False))
    if code:
        assert "does not pass" in capsys.readouterr().out


@pytest.mark.parametrize("option", [["--worst", "w.png"], ["--edgetpu"]])
def test_options_that_a_finder_lacks_are_named(
    run: Path, data: Path, option: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["convert", str(run / "model.keras"), "--data", str(data), "--out", str(data / "x.tflite"), *option]
    assert main(arguments) == 2
    assert f"there is no {option[0]}" in capsys.readouterr().err


def test_a_finder_is_not_what_a_keypoint_network_starts_from(
    run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = (Path(__file__).resolve().parents[3] / "train/keypointnet.toml").read_text()
    recipe = data / "keypointnet.toml"
    recipe.write_text(text.replace("replicas = 2", ""))
    start = ["--start", str(run / "model.keras")]
    assert main(["train", str(recipe), "--data", str(data), "--out", str(data / "other"), *start]) == 2
    assert "is a finder" in capsys.readouterr().err


def test_a_run_goes_on_from_an_earlier_one(run: Path, data: Path) -> None:
    arguments = ["train", str(data / "recipe.toml"), "--data", str(data), "--out", str(data / "more")]
    assert main([*arguments, "--start", str(run / "model.keras")]) == 0
    before, after = map(json.loads, (data / "more/history.jsonl").read_text().splitlines())
    trained = json.loads((run / "history.jsonl").read_text())
    assert (before["epoch"], after["epoch"]) == (0, 1)
    assert before["val_mosaics_recall_percent"] == trained["val_mosaics_recall_percent"]


def test_a_run_is_not_overwritten(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", str(data / "recipe.toml"), "--data", str(data), "--out", str(run)]) == 2
    assert "add --resume" in capsys.readouterr().err


def test_the_shipped_finders_recipe_reads() -> None:
    recipe = read_recipe(Path(__file__).resolve().parents[3] / "train/finder.toml")
    assert recipe.name == "finder"
