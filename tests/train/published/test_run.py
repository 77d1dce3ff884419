"""Published systems from the command line: trained, killed, resumed, converted, measured and run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fkp_edge.cli.main import main
from fkp_edge.data import FaceSet
from fkp_edge.model.interpreter import open_model
from fkp_edge.train.backend import keras
from fkp_edge.train.published.missing import COMMON

from .conftest import write_rows

CONVERT = """
max_loss_percent = 100
[calibration]
count = 8
bias_crops = 8
"""


def train(work: Path, *more: str) -> int:
    return main(["train", str(work / "small.toml"), "--data", str(work), "--out", str(work / "run"), *more])


def history(folder: Path, value: str = "epoch") -> list[Any]:
    return [json.loads(line)[value] for line in (folder / "history.jsonl").read_text().splitlines()]


def described(work: Path) -> dict[str, Any]:
    return json.loads((work / "run/model.json").read_text())


def test_train_convert_eval_predict_run_and_submit(work: Path, capsys: pytest.CaptureFixture[str], faces: FaceSet):
    assert train(work) == 0
    made = {path.name for path in (work / "run").iterdir()}
    pictures = {f"{kind}_{name}.png" for kind in ("samples", "worst") for name in ("val", "test")}
    assert {"model.keras", "model.json", "curves.png", "points.png", "best.h5"} | pictures <= made
    assert described(work)["parameters"] == 943_054

    (work / "int8.toml").write_text(CONVERT)
    out = work / "small-int8.tflite"
    convert = ["convert", str(work / "run/model.keras"), str(work / "int8.toml"), "--data", str(work)]
    assert main([*convert, "--out", str(out)]) == 0
    model = open_model(out)
    assert not model.has_score
    assert not model.file.card.has_score
    operators = {operator.name for operator in model.file.card.operators}
    assert "FULLY_CONNECTED" not in operators
    again = keras.models.load_model(work / "run/model.keras", compile=False)
    units = again(faces.images[0].reshape(1, 96, 96, 1).astype(np.float32))["keypoints"].numpy().reshape(-1, 2)
    assert np.abs(model.predict(faces.images[0])[0] - model.mean_shape - units).max() < 0.02

    capsys.readouterr()
    assert main(["eval", str(out), "--data", str(work / "training.csv"), "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)[0]["sets"]["training"]
    assert figures["faces"] == 8  # those whose eye corners are labelled
    assert main(["predict", str(Path(__file__).parents[3] / "docs/demo.jpg"), "--model", str(out)]) == 0
    source = ["run", "--source", "demo", "--fast", "--json", "--stream", "tcp://127.0.0.1:0"]
    assert main([*source, "--sheet", str(work / "sheet.png"), "--model", str(out)]) == 0


def test_a_killed_run_goes_on_from_its_last_epoch(work: Path, recipe: Callable[..., Path]):
    assert train(work) == 0
    (work / "run/model.keras").unlink()  # as if killed before the end
    with (work / "run/history.jsonl").open("a") as file:
        file.write((work / "run/history.jsonl").read_text().splitlines()[-1] + "\n")  # its checkpoint was not written
    recipe({"epochs = 2": "epochs = 3"})
    assert train(work, "--resume") == 0
    assert history(work / "run") == [1, 2, 3]
    assert (work / "run/model.keras").exists()


def test_a_run_that_is_there_is_not_overwritten(
    work: Path, recipe: Callable[..., Path], capsys: pytest.CaptureFixture[str]
):
    assert train(work) == 0
    assert train(work) == 2
    assert "already holds a training run; add --resume to go on" in capsys.readouterr().err
    recipe({'"lenet5"': '"conv_gap"'})
    assert train(work, "--resume") == 2
    assert "holds a run of another network or other data; name another --out" in capsys.readouterr().err


def test_a_run_ends_when_its_time_is_up(work: Path, recipe: Callable[..., Path]):
    recipe({"epochs = 2": "epochs = 10_000\nminutes = 0.02"})
    assert train(work) == 0
    assert 1 <= history(work / "run")[-1] < 10_000


def test_the_best_of_several_restarts_is_kept(work: Path, recipe: Callable[..., Path]):
    recipe({"epochs = 2": "epochs = 2\nrestarts = 2"})
    assert train(work) == 0
    best = [min(history(work / f"run/restart{i}", "val_mse_px2")) for i in (0, 1)]
    assert best[0] != best[1]
    rmse = described(work)["validation"]["val"]["rmse_px"]
    assert rmse**2 == pytest.approx(min(best), rel=1e-3)


def test_specialists_give_each_point_as_the_one_who_knows_it(work: Path, recipe: Callable[..., Path], faces: FaceSet):
    recipe({'"masked"': '"specialists"'})
    assert train(work) == 0
    merged = keras.models.load_model(work / "run/model.keras", compile=False)
    assert merged.output["keypoints"].shape == (None, 30)
    out = merged.predict(np.stack(faces.images)[..., None].astype(np.float32), verbose=0)["keypoints"].reshape(
        -1, 15, 2
    )
    trunk = {name: merged.get_layer(name) for name in ("common", "every")}
    kernel, _ = merged.get_layer("offsets").get_weights()
    width = trunk["common"].output.shape[-1]
    mine = [2 * point + axis for point in COMMON for axis in (0, 1)]
    others = [i for i in range(30) if i not in mine]
    assert not kernel[width:, mine].any()
    assert not kernel[:width, others].any()
    assert kernel[:width, mine].any()
    assert np.isfinite(out).all()
    assert history(work / "run/common") == history(work / "run/every") == [1, 2]
    (work / "int8.toml").write_text(CONVERT)
    out_file = work / "both.tflite"
    convert = ["convert", str(work / "run/model.keras"), str(work / "int8.toml"), "--data", str(work)]
    assert main([*convert, "--out", str(out_file)]) == 0
    found = open_model(out_file).predict(faces.images[0])[0] - open_model(out_file).mean_shape
    assert np.abs(found - out[0]).max() < 0.02


@pytest.mark.parametrize("strategy", ["drop", "ffill", "median", "knn"])
def test_filled_values_are_compared_with_labels(work: Path, recipe: Callable[..., Path], strategy: str):
    recipe({'"masked"': f'"{strategy}"\nneighbours = 2', "epochs = 2": "epochs = 1", "seed = 1": "seed = 0"})
    assert train(work) == 0
    assert ("filled_rmse_px" in described(work)) == (work / "run/filled.png").exists() == (strategy != "drop")


def test_a_strategy_that_cannot_work_says_so_before_training(
    work: Path, recipe: Callable[..., Path], faces: FaceSet, capsys: pytest.CaptureFixture[str]
):
    recipe({'"masked"': '"knn"'})
    assert train(work) == 2
    err = capsys.readouterr().err
    assert "of the 12 training rows are complete; expected at least neighbours = 9" in err
    assert len(err.splitlines()) == 1
    assert not (work / "run").exists()


def test_a_part_without_eye_corners_says_so(work: Path, faces: FaceSet, capsys: pytest.CaptureFixture[str]):
    points = faces.points.copy()
    points[:, 3] = np.nan
    write_rows(work / "training.csv", type(faces)("t", faces.schema, points, faces.images, faces.labels, cropped=True))
    assert train(work) == 2
    assert "none of the 6 val rows has both outer eye corners labelled" in capsys.readouterr().err


def test_the_baseline_needs_no_network(work: Path, capsys: pytest.CaptureFixture[str]):
    text = 'kind = "knn"\nname = "knn"\nneighbours = 3\n[data]\nval_share = 0.25\ntest_share = 0.25\nseed = 1\n'
    (work / "small.toml").write_text(text)
    assert train(work) == 0
    figures = json.loads((work / "run/figures.json").read_text())
    assert figures["validation"]["val"]["rmse_px"] < 6
    assert {"points.png", "samples_val.png", "worst_test.png"} <= {path.name for path in (work / "run").iterdir()}
    (work / "small.toml").write_text(text.replace("= 3", "= 13"))
    assert main(["train", str(work / "small.toml"), "--data", str(work), "--out", str(work / "other")]) == 2
    assert "neighbours = 13, but only" in capsys.readouterr().err


def test_weights_of_another_run_are_refused(work: Path, capsys: pytest.CaptureFixture[str]):
    assert train(work, "--start", str(work / "model.keras")) == 2
    assert "recipes of kind published start from their own weights; leave it out" in capsys.readouterr().err


def test_a_zip_is_taken_where_the_csv_is_not(work: Path):
    import zipfile

    with zipfile.ZipFile(work / "training.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(work / "training.csv", "training.csv")
    (work / "training.csv").unlink()
    assert train(work) == 0
