"""A tiny training from the command line, interrupted and resumed; then its conversion."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.cli.main import main
from fkp_edge.model.interpreter import open_model
from fkp_edge.train.backend import keras, tf
from fkp_edge.train.networks import build_keypointnet
from fkp_edge.train.recipe import Network

CONVERT = """
val = ["val.csv"]
[calibration]
folders = ["train.csv"]
count = 8
"""


def train(tiny: Path, epochs: int, *more: str) -> int:
    out = str(tiny / "run")
    return main(["train", str(tiny / f"tiny{epochs}.toml"), "--data", str(tiny), "--out", out, *more])


def history(tiny: Path) -> list[int]:
    return [json.loads(line)["epoch"] for line in (tiny / "run/history.jsonl").read_text().splitlines()]


def test_the_network_gives_offsets_and_a_probability() -> None:
    out = build_keypointnet(Network(), 15)(np.zeros((2, 96, 96, 1), np.float32))
    assert (out["keypoints"].shape, out["score"].shape) == ((2, 30), (2, 1))


def test_the_default_network_keeps_its_size() -> None:
    assert build_keypointnet(Network(), 15).count_params() == 165_263


def test_train_resume_convert_and_predict(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(tiny, 2) == 0
    assert history(tiny) == [1, 2]
    assert train(tiny, 4) == 2  # a run is there already
    assert "already holds a training run; add --resume" in capsys.readouterr().err
    assert train(tiny, 4, "--resume") == 0
    assert history(tiny) == [1, 2, 3, 4]
    made = {path.name for path in (tiny / "run").iterdir()}
    assert {"model.keras", "model.json", "curves.png", "points.png", "samples_val.png", "worst_val.png"} <= made

    (tiny / "int8.toml").write_text(CONVERT)
    out = tiny / "tiny-int8.tflite"
    convert = [
        "convert",
        str(tiny / "run/model.keras"),
        str(tiny / "int8.toml"),
        "--data",
        str(tiny),
        "--out",
        str(out),
    ]
    assert main(convert) == 0
    assert {"tiny-int8.tflite", "tiny-float32.tflite"} <= {path.name for path in tiny.iterdir()}
    assert main(convert) == 2  # the files are there already

    model = open_model(out)
    crop = cv2.resize(np.arange(96 * 96, dtype=np.uint16).astype(np.uint8).reshape(96, 96), (96, 96))
    again = keras.models.load_model(tiny / "run/model.keras", compile=False)
    float_units = again(crop.reshape(1, 96, 96, 1).astype(np.float32))["keypoints"].numpy().reshape(-1, 2)
    assert np.abs(model.predict(crop)[0] - model.mean_shape - float_units).max() < 0.05
    assert (model.file.card.precision, model.file.card.schema, len(model.file.golden)) == ("int8", "fkp15", 3)


def test_a_killed_run_leaves_no_model_and_resumes(tiny: Path) -> None:
    assert train(tiny, 2) == 0
    (tiny / "run/model.keras").unlink()  # as if killed before the end
    with (tiny / "run/history.jsonl").open("a") as file:
        file.write('{"epoch": 3}\n')  # written, but its checkpoint was not
    assert train(tiny, 4, "--resume") == 0
    assert history(tiny) == [1, 2, 3, 4]
    assert (tiny / "run/model.keras").exists()


def test_resuming_a_finished_run_trains_no_more(tiny: Path) -> None:
    train(tiny, 2)
    assert train(tiny, 2, "--resume") == 0
    assert history(tiny) == [1, 2]


def test_a_network_of_68_points_trains_converts_and_runs(
    tiny: Path, tmp_path: Path, write_pts: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("train", "val"):
        for index in range(4):
            write_pts(tmp_path / name / f"{index}.pts")
    text = (tiny / "tiny2.toml").read_text().replace(".csv", "").replace("batch = 8", "batch = 4")
    (tmp_path / "tiny.toml").write_text('schema = "ibug68"\n' + text)
    (tmp_path / "int8.toml").write_text(CONVERT.replace(".csv", ""))
    data, run, out = str(tmp_path), str(tmp_path / "run"), str(tmp_path / "k68.tflite")
    assert main(["train", str(tmp_path / "tiny.toml"), "--data", data, "--out", run]) == 0
    assert main(["convert", f"{run}/model.keras", str(tmp_path / "int8.toml"), "--data", data, "--out", out]) == 0
    capsys.readouterr()
    arguments = ["run", "--source", "demo", "--fast", "--json", "--stream", "tcp://127.0.0.1:0", "--model", out]
    assert main([*arguments, "--sheet", str(tmp_path / "sheet.png")]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 376
    assert open_model(Path(out)).schema.size == 68


def test_another_network_is_not_resumed_into_a_run(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tiny, 2)
    recipe = tiny / "tiny4.toml"
    recipe.write_text(recipe.read_text().replace("stem = 8", "stem = 16"))
    assert train(tiny, 4, "--resume") == 2
    assert "holds a run of another network or schema; name another --out" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["epochs = 0", "batch = 0"])
def test_counts_of_nothing_are_refused(tiny: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    recipe = tiny / "tiny2.toml"
    key = line.split()[0]
    recipe.write_text("\n".join(line if row.startswith(key) else row for row in recipe.read_text().splitlines()))
    assert train(tiny, 2) == 2
    assert "cannot be used; expected a whole number >= 1" in capsys.readouterr().err


def test_a_conversion_that_cannot_write_one_file_writes_none(tiny: Path) -> None:
    train(tiny, 2)
    (tiny / "int8.toml").write_text(CONVERT)
    (tiny / "k-float32.tflite").mkdir()
    arguments = ["convert", str(tiny / "run/model.keras"), str(tiny / "int8.toml"), "--data", str(tiny)]
    assert main([*arguments, "--out", str(tiny / "k-int8.tflite"), "--overwrite"]) == 2
    assert not (tiny / "k-int8.tflite").exists()


def test_a_run_goes_on_from_anothers_weights(tiny: Path) -> None:
    def first_loss() -> float:
        return json.loads((tiny / "run/history.jsonl").read_text().splitlines()[0])["points_loss"]

    assert train(tiny, 4) == 0
    random = first_loss()
    (tiny / "run").rename(tiny / "before")
    assert train(tiny, 2, "--start", str(tiny / "before/model.keras")) == 0
    assert first_loss() < random


def test_two_devices_share_the_steps(tiny: Path) -> None:
    recipe = tiny / "tiny2.toml"
    recipe.write_text(recipe.read_text() + "replicas = 2\n")
    arguments = ["train", str(recipe), "--data", str(tiny), "--out", str(tiny / "run")]
    # a process of its own: TensorFlow's devices are fixed when it first works
    done = subprocess.run([sys.executable, "-m", "fkp_edge", *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert not re.search(r"cuda|absl|tensorflow|^[IWEF]\d{4}", done.stderr, re.IGNORECASE | re.MULTILINE), done.stderr
    assert len(done.stdout.splitlines()) == 3
    recipe.write_text(recipe.read_text().replace("replicas = 2", "").replace("epochs = 2", "epochs = 3"))
    assert main([*arguments, "--resume"]) == 0  # on one device
    assert history(tiny) == [1, 2, 3]


def test_devices_that_cannot_be_had_are_named(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tf.constant(1.0)  # TensorFlow works, with one device
    recipe = tiny / "tiny2.toml"
    recipe.write_text(recipe.read_text() + "replicas = 3\n")
    assert train(tiny, 2) == 2
    assert "fit.replicas = 3 needs a fresh process" in capsys.readouterr().err


def test_ctrl_c_ends_with_130_and_says_how_to_go_on(tiny: Path) -> None:
    recipe = tiny / "tiny2.toml"
    recipe.write_text(recipe.read_text().replace("epochs = 2", "epochs = 100000"))
    arguments = ["train", str(recipe), "--data", str(tiny), "--out", str(tiny / "run")]
    with subprocess.Popen([sys.executable, "-m", "fkp_edge", *arguments], stderr=subprocess.PIPE, text=True) as run:
        while run.poll() is None and not (tiny / "run/history.jsonl").exists():
            time.sleep(0.1)
        run.send_signal(signal.SIGINT)
        said = run.communicate(timeout=300)[1]
    assert run.returncode == 130, said
    assert f"--out {tiny / 'run'} --resume" in said
    recipe.write_text(recipe.read_text().replace("epochs = 100000", f"epochs = {len(history(tiny))}"))
    assert main([*arguments, "--resume"]) == 0
