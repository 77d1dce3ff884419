"""What bench refuses."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_bench_a_missing_model(refused, tmp_path: Path):
    path = tmp_path / "none.tflite"
    assert refused("bench", path, "--quick").startswith(f"cannot read {path}: No such file or directory")


def test_bench_into_a_report_of_unknown_kind(refused, tmp_path: Path):
    error = refused("bench", "--quick", "--report", tmp_path / "a.pdf")
    assert error == f"--report {tmp_path}/a.pdf has no known suffix; expected .html, .md, .json"


def test_bench_on_a_folder_without_labels(refused, empty: Path):
    error = refused("bench", "keypoints-int8", "--quick", "--data", empty)
    assert error.startswith(f"no labelled faces in {empty}; expected NAME.pts")


def test_bench_on_a_pipe(refused):
    assert refused("bench", "--source", "gray:640x480").startswith("bench reads its source more than once")


def test_bench_on_an_edge_tpu_without_a_model(refused):
    error = refused("bench", "--accelerator", "edgetpu")
    assert error == "--accelerator edgetpu needs a model compiled for it; name one"


def test_bench_on_an_edge_tpu_without_a_compiled_model(refused):
    error = refused("bench", "keypoints-int8", "keypoints-float32", "--accelerator", "edgetpu")
    assert error.endswith(
        "keypoints-int8.tflite is not compiled for the Edge TPU (it has no edgetpu-custom-op); compile it with "
        "fkp-edge convert --edgetpu, or leave --accelerator out"
    )


def test_bench_of_a_compiled_model_without_its_edge_tpu(refused, compiled_tflite: bytes, tmp_path: Path):
    (path := tmp_path / "c.tflite").write_bytes(compiled_tflite)
    error = refused("bench", path, "--no-card", "--quick")
    assert error == f"{path} is compiled for the Edge TPU and cannot run without; add --accelerator edgetpu"


def test_bench_for_no_time(refused):
    assert refused("bench", "--seconds", "0") == "--seconds 0 is too short or too long; expected 1 to 3600"


def test_compare_one_result(refused, text_file):
    error = refused("bench", "compare", text_file("a.json"))
    assert error == "bench compare takes two results, got 1; expected A.json B.json of bench --json"


def test_compare_what_is_no_result(refused, text_file):
    path = text_file("a.json")
    assert refused("bench", "compare", path, path).startswith(f"{path} is no result of fkp-edge bench (")


@pytest.mark.parametrize(
    "given",
    [
        ["--quick"],
        ["--seconds", "5"],
        ["--source", "foo"],
        ["--overwrite"],
        ["--no-card"],
        ["--accelerator", "edgetpu"],
        ["--threads", "2"],
        ["--data", "faces"],
        ["--report", "a.md"],
    ],
    ids=lambda given: given[0],
)
def test_compare_with_an_option_for_measuring(refused, given: list[str]):
    error = refused("bench", "compare", "a.json", "b.json", *given)
    assert error == f"{given[0]} is for measuring; bench compare takes --fail-on and --json"


def test_fail_on_without_compare(refused):
    error = refused("bench", "--fail-on", "5")
    assert error == "--fail-on is about two results; expected bench compare A.json B.json --fail-on P%"
