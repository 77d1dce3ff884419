"""What predict, verify and eval refuse, and model files that nothing takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.cli.main import main
from fkp_edge.model.file import read_model_file, write_model_file
from fkp_edge.model.shipped import shipped_model

SHIPPED = shipped_model()


# predict


def test_predict_a_missing_path(refused, tmp_path: Path, drawn: Path):
    path = tmp_path / "none.jpg"
    error = refused("predict", path, "--draw", drawn)
    assert error == f"{path} does not exist; expected a picture, a video or a folder of pictures"
    assert not drawn.exists()


def test_predict_a_text_file_named_jpg(refused, text_file, drawn: Path):
    path = text_file("a.jpg")
    error = refused("predict", path, "--draw", drawn)
    assert error.startswith(f"{path} is not a picture that OpenCV reads: it is a text file; expected ")
    assert not [*drawn.glob("*")]


def test_predict_a_folder_without_pictures(refused, empty: Path, drawn: Path):
    assert refused("predict", empty, "--draw", drawn).startswith(
        f"no pictures in {empty}; expected files ending in .bmp,"
    )
    assert not drawn.exists()


def test_predict_one_missing_path_among_good_ones(refused, tmp_path: Path, drawn: Path):
    good = tmp_path / "good.png"
    cv2.imwrite(str(good), np.zeros((50, 50), np.uint8))
    assert "none.png does not exist" in refused("predict", good, tmp_path / "none.png", "--draw", drawn)
    assert not drawn.exists()


def test_predict_into_a_folder_that_is_a_file(refused, text_file, tmp_path: Path):
    picture, taken = tmp_path / "a.png", text_file("taken")
    cv2.imwrite(str(picture), np.zeros((50, 50), np.uint8))
    assert refused("predict", picture, "--draw", taken) == (
        f"cannot make folder {taken}: File exists; name another --draw"
    )


# model files


@pytest.fixture
def predict_with(refused, tmp_path: Path) -> Callable[..., str]:
    """The error of `predict --model` on a good picture."""
    picture = tmp_path / "good.png"
    cv2.imwrite(str(picture), np.zeros((50, 50), np.uint8))
    return lambda model, *options: refused("predict", picture, "--model", model, *options)


def test_a_missing_model(predict_with, tmp_path: Path):
    path = tmp_path / "none.tflite"
    assert predict_with(path) == f"cannot read {path}: No such file or directory; expected a .tflite file"


def test_a_text_file_named_tflite(predict_with, text_file):
    path = text_file("m.tflite")
    assert predict_with(path).startswith(f"{path} is not a TFLite model, which has TFL3 in bytes 4 to 8; expected ")


def test_a_damaged_model(predict_with, tmp_path: Path):
    path = tmp_path / "m.tflite"
    content = bytearray(SHIPPED.read_bytes())
    content[50_000] ^= 1
    path.write_bytes(content)
    error = predict_with(path)
    assert error.startswith(f"{path} is damaged: the flatbuffer's sha256 is ")
    assert error.endswith("; copy or convert it again")


def test_a_truncated_model(predict_with, tmp_path: Path):
    path = tmp_path / "m.tflite"
    path.write_bytes(SHIPPED.read_bytes()[:100_000])
    assert predict_with(path).startswith(f"{path} has no card; ")
    assert predict_with(path, "--no-card").startswith(f"{path} cannot be loaded: ")


def test_a_model_without_a_card(predict_with, tiny_tflite, tmp_path: Path):
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny_tflite())
    assert predict_with(path).endswith("expected a file that fkp-edge convert wrote, or add --no-card")


@pytest.mark.parametrize(
    ("side", "outputs", "complaint"),
    [
        (64, (30, 1), "takes [((1, 64, 64, 1), 'float32')], expected one input (1, 96, 96, 1) uint8 of raw grey"),
        (96, (10,), "gives outputs [(1, 10)], expected (1, 30) or (1, 136) and at most one (1, 1)"),
    ],
    ids=["input", "output"],
)
def test_a_model_of_other_shapes(predict_with, tiny_tflite, tmp_path: Path, side: int, outputs, complaint: str):
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny_tflite(side, outputs))
    assert predict_with(path, "--no-card") == f"{path} {complaint}"


# verify


def test_verify_a_missing_file(refused, tmp_path: Path):
    path = tmp_path / "none.tflite"
    assert refused("verify", path) == f"cannot read {path}: No such file or directory; expected a .tflite file"


def test_verify_a_text_file(refused, text_file):
    path = text_file("m.tflite")
    assert refused("verify", path).startswith(f"{path} is not a TFLite model, which has TFL3 in")


def test_verify_a_file_without_a_card(refused, tiny_tflite, tmp_path: Path):
    path = tmp_path / "m.tflite"
    path.write_bytes(tiny_tflite())
    assert refused("verify", path) == f"{path} has no golden cases; expected a file that fkp-edge convert wrote"


def test_verify_a_file_without_golden_cases(refused, tmp_path: Path):
    path, shipped = tmp_path / "m.tflite", read_model_file(SHIPPED)
    write_model_file(path, shipped.flatbuffer, shipped.card, ())
    assert refused("verify", path) == f"{path} has no golden cases; expected a file that fkp-edge convert wrote"


# eval


def test_eval_on_missing_data(refused, tmp_path: Path):
    path = tmp_path / "none"
    assert refused("eval", SHIPPED, "--data", path) == (
        f"{path} does not exist; expected a folder of .pts files or Kaggle's training.csv or .zip"
    )


def test_eval_on_a_folder_without_labels(refused, empty: Path):
    error = refused("eval", SHIPPED, "--data", empty)
    assert error.startswith(
        f"no labelled faces in {empty}; expected NAME.pts beside NAME.jpg, there or one folder below"
    )


def test_eval_on_a_csv_without_a_column(refused, tmp_path: Path, kaggle_row, write_csv):
    del kaggle_row["nose_tip_y"]
    path = write_csv(tmp_path / "training.csv", kaggle_row)
    assert refused("eval", SHIPPED, "--data", path) == (
        f"{path} has no column 'nose_tip_y'; expected Kaggle's 30 coordinates and Image"
    )


def test_eval_on_a_csv_with_a_bad_cell(refused, tmp_path: Path, kaggle_row, write_csv):
    path = write_csv(tmp_path / "training.csv", kaggle_row | {"nose_tip_y": "low"})
    assert refused("eval", SHIPPED, "--data", path) == (
        f"{path} row 2 column nose_tip_y: 'low' is not a number; expected pixels or nothing"
    )


def test_eval_on_a_text_file_named_zip(refused, text_file):
    path = text_file("training.zip")
    assert refused("eval", SHIPPED, "--data", path) == (
        f"cannot read {path}: File is not a zip file; expected Kaggle's training.zip"
    )


def test_eval_on_a_pts_with_too_few_points(refused, tmp_path: Path, write_pts):
    path = write_pts(tmp_path / "a.pts", np.ones((67, 2)))
    assert refused("eval", SHIPPED, "--data", tmp_path) == f"{path} has 67 points; expected 68 in the iBUG order"


def test_eval_of_a_missing_model(refused, tmp_path: Path):
    assert "none.tflite: No such file" in refused("eval", tmp_path / "none.tflite", "--data", tmp_path)


def test_eval_frames_no_ready_crops(capsys, tmp_path: Path, kaggle_row, write_csv):
    path = write_csv(tmp_path / "training.csv", kaggle_row)
    assert main(["eval", str(SHIPPED), "--data", str(path), "--crops", "haar"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == "fkp-edge: error: training holds ready 96x96 crops; expected --crops gt, got haar"


@pytest.mark.parametrize("command", [["eval", SHIPPED], ["run", "--fast", "--json", "--source"]], ids=lambda c: c[0])
def test_what_a_decoder_says_of_a_picture_is_not_heard(
    tmp_path: Path, write_pts, capfd: pytest.CaptureFixture[str], command: list[object]
):
    pts = write_pts(tmp_path / "faces" / "a.pts")
    coded = cv2.imencode(".jpg", cv2.imread(str(pts.with_suffix(".png"))))[1].tobytes()
    pts.with_suffix(".png").unlink()
    pts.with_suffix(".jpg").write_bytes(coded[:-2] + b"\x12" * 300 + coded[-2:])  # libjpeg warns of such bytes
    where = ["--data", pts.parent] if command[0] == "eval" else [pts.parent, "--stream", "tcp://127.0.0.1:0"]
    assert main([str(word) for word in [*command, *where]]) == 0
    said = capfd.readouterr().err.splitlines()
    assert said
    assert not [line for line in said if "JPEG" in line]
