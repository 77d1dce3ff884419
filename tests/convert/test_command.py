"""`fkp-edge convert` on a small network: every recipe, the gate, the report, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pytest

pytest.importorskip("tensorflow_model_optimization", reason="needs fkp-edge[convert]")

from fkp_edge.cli.main import main
from fkp_edge.convert.attempts import prepare_job
from fkp_edge.convert.recipe import ConvertRecipe
from fkp_edge.convert.report import FOUND_SCORE
from fkp_edge.device.tracking.engine import EngineSettings
from fkp_edge.errors import InputError
from fkp_edge.model.file import read_model_file
from fkp_edge.model.interpreter import open_model
from fkp_edge.train.backend import keras

from .conftest import write_faces

TUNE = "\n[tune]\nepochs = 1\nbatch = 8\nnegatives = 2\n"
Convert = Callable[..., dict[str, Any]]


@pytest.fixture
def convert(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Convert:
    """Converts the trained network with a recipe's text; what --json says, with the exit code."""

    def run(recipe: str = "", *options: object, model: Path = trained, code: int = 0) -> dict[str, Any]:
        path = tmp_path / "recipe.toml"
        path.write_text(recipe)
        out = tmp_path / "out/net-int8.tflite"
        out.parent.mkdir(exist_ok=True)
        arguments = ["convert", model, path, "--data", tmp_path, "--out", out, "--json", *options]
        assert main(list(map(str, arguments))) == code
        said = capsys.readouterr()
        return json.loads(said.out) if said.out else {"error": said.err.splitlines()[-1]}

    return run


def test_the_defaults_give_a_gated_int8_file(convert: Convert, tmp_path: Path):
    found = convert()
    assert found["passed"]
    assert sorted(Path(path).name for path in found["files"]) == [
        "net-float32.tflite",
        "net-int8.report.html",
        "net-int8.report.json",
        "net-int8.report.md",
        "net-int8.tflite",
    ]
    card = read_model_file(tmp_path / "out/net-int8.tflite").card
    assert card is not None
    assert card.quantisation.startswith("post-training, 180 calibration crops of train, seed 7; mean error of 900")
    assert card.accuracy["val"]["faces"] == 6
    assert not (tmp_path / "out/net-int8.work").exists()
    assert [size["name"] for size in found["report"]["sizes"]] == [
        "float32 before",
        "float32",
        "float16",
        "dynamic",
        "int8",
    ]
    assert found["report"]["layers"][0][1] <= found["report"]["layers"][-1][1]


def test_a_network_that_would_find_nobody_is_warned_of(convert: Convert, tmp_path: Path):
    before, after = convert()["report"]["found_percent"]  # random weights: no score is near 0.9
    assert (before, after) == (0, 0)
    assert "Warning: run would find nobody" in (tmp_path / "out/net-int8.report.md").read_text()


def test_the_score_of_a_face_found_is_the_engines():
    assert EngineSettings().found_score == FOUND_SCORE


def test_a_report_page_needs_nothing_else(convert: Convert, tmp_path: Path):
    convert()
    page = (tmp_path / "out/net-int8.report.html").read_text()
    assert page.count("data:image/png;base64,") == 3
    assert 'name="viewport"' in page
    assert 'class="badge yes"' in page
    assert "http" not in page.replace("http-equiv", "")
    text = (tmp_path / "out/net-int8.report.md").read_text()
    assert "| nose_tip |" in text
    assert "Passes: it loses" in text


def test_what_may_lose_too_much_is_not_written(convert: Convert, tmp_path: Path):
    found = convert("remedies = false\n[calibration]\nbias_crops = 0\ncount = 1", "--max-loss", "0.000001%", code=1)
    assert not found["passed"]
    assert list((tmp_path / "out").glob("*.tflite")) == []
    assert "Does not pass: it loses" in (tmp_path / "out/net-int8.report.md").read_text()


def test_remedies_are_tried_in_order(convert: Convert, tmp_path: Path):
    found = convert(TUNE, "--max-loss", "0.000001%", code=1)
    ways = [attempt["how"].split(";")[0] for attempt in found["report"]["attempts"]]
    assert ways[:3] == [
        "post-training, 180 calibration crops of train, seed 7",
        "post-training, 720 calibration crops of train, seed 7",
        "quantisation-aware training, 1 epochs",
    ]
    assert ways[3].startswith("post-training, in float: ")
    assert len(ways) == 4
    assert "the best of 4 ways" in (tmp_path / "out/net-int8.report.md").read_text()


def test_channels_are_pruned_and_the_card_says_so(convert: Convert, tmp_path: Path):
    found = convert("max_loss_percent = 100\n[prune]\nchannels = 0.5\nkeep = ['squeeze']" + TUNE)
    before, after = found["report"]["macs"]
    assert after < 0.7 * before
    card = read_model_file(tmp_path / "out/net-int8.tflite").card
    assert card is not None
    assert card.pruning.startswith("92 of 184 filters (50.0%, asked for were 50.0%) of the 8 layers")
    assert [step["name"] for step in found["report"]["steps"]] == ["prune and fine-tune", "quantise"]


def test_pruned_weights_stay_zero_and_compress(convert: Convert):
    found = convert("max_loss_percent = 100\n[prune]\nweights = 0.6" + TUNE)
    assert found["report"]["pruning"].startswith("60% of the weights of convolutions are zero")
    sizes = {size["name"]: size for size in found["report"]["sizes"]}
    assert sizes["float32"]["gzip_bytes"] < 0.7 * sizes["float32 before"]["gzip_bytes"]
    assert sizes["float32"]["bytes"] == pytest.approx(sizes["float32 before"]["bytes"], rel=0.1)


def test_quantisation_aware_training_gives_int8(convert: Convert, tmp_path: Path):
    found = convert('quantise = "qat"\nmax_loss_percent = 100' + TUNE)
    assert found["report"]["quantisation"].startswith("quantisation-aware training, 1 epochs")
    model = open_model(tmp_path / "out/net-int8.tflite")
    assert model.arithmetic == "integer"


def test_the_worst_faces_are_drawn_where_asked(convert: Convert, tmp_path: Path):
    convert("", "--worst", tmp_path / "worst.png")
    assert (tmp_path / "out/net-int8.report.html").read_text().count("data:image/png;base64,") == 4
    assert cv2.imread(str(tmp_path / "worst.png")).shape == (2 * 192, 5 * 192, 3)


def test_a_scan_says_which_layers_can_lose_filters(trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "recipe.toml").write_text(TUNE)
    arguments = ["convert", trained, tmp_path / "recipe.toml", "--data", tmp_path, "--scan", tmp_path / "scan"]
    assert main([*map(str, arguments), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["layer"] for one in found["sensitivity"]][-2:] == ["head", "squeeze"]
    assert [point["share"] for point in found["sweep"]] == [0, 0.2, 0.4, 0.6]
    assert found["sweep"][0]["tuned"]["loss_percent"] == 0
    assert cv2.imread(str(tmp_path / "scan/scan.png")) is not None
    assert not (tmp_path / "scan/work").exists()


def test_two_ways_of_pruning_exclude_each_other(convert: Convert):
    error = convert("[prune]\nchannels = 0.3\nweights = 0.5", code=2)["error"]
    assert "prune.channels = 0.3 and prune.weights = 0.5 exclude each other; leave one out" in error


def test_a_layer_to_keep_must_be_there(convert: Convert):
    error = convert("[prune]\nchannels = 0.3\nkeep = ['squeze']" + TUNE, code=2)["error"]
    assert error.endswith("prune.keep: the network has no layer 'squeze'; did you mean 'squeeze'?")


def test_one_folder_cannot_calibrate_and_judge(convert: Convert):
    error = convert("val = ['val.csv']\n[calibration]\nfolders = ['val.csv']", code=2)["error"]
    assert "val.csv is in calibration.folders and in val; the gate wants faces of its own" in error


def test_without_labelled_faces_there_is_no_gate(convert: Convert, tmp_path: Path):
    (tmp_path / "val.csv").unlink()
    assert "val.csv" in convert(code=2)["error"]


def test_unfinished_work_of_another_conversion_is_not_gone_on_from(convert: Convert, tmp_path: Path):
    work = tmp_path / "out/net-int8.work"
    work.mkdir(parents=True)
    (work / "conversion.json").write_text("{}")
    error = convert("[prune]\nchannels = 0.5" + TUNE, code=2)["error"]
    assert f"{work} holds unfinished work of another conversion" in error


def test_fine_tuning_on_other_faces_is_not_gone_on_from(trained: Path, tmp_path: Path):
    def claim() -> None:
        job = prepare_job(trained, ConvertRecipe(), data_dir=tmp_path, propose=lambda grey: [], work=tmp_path / "work")
        assert job.task.steps

    claim()
    claim()
    write_faces(tmp_path / "train.csv", 16, seed=9)
    with pytest.raises(InputError, match="holds unfinished work of another conversion"):
        claim()


def test_a_network_of_other_units_is_recognised_as_lost(convert: Convert, trained: Path, tmp_path: Path):
    model = keras.models.load_model(trained, compile=False)
    alone = keras.Model(model.input, model.output["keypoints"])
    with pytest.warns(UserWarning, match="HDF5"):
        alone.save(tmp_path / "mine.h5")
    folders = "val = ['val.csv']\n[calibration]\nfolders = ['train.csv']\n"
    error = convert(folders + "[network]\npoints = 'pixels'", model=tmp_path / "mine.h5", code=2)["error"]
    assert "the float network errs by" in error
    assert convert(folders, model=tmp_path / "mine.h5")["passed"]
