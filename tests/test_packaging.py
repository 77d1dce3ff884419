"""The bare install: the wheel in an environment of its own, without TensorFlow, doing the main job."""

from __future__ import annotations

import json
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
DESKTOP_ONLY = {"tensorflow", "tf-keras", "tf_keras", "keras", "matplotlib", "pandas", "scikit-learn", "opencv-python"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(out), str(REPOSITORY)]
    subprocess.run(command, check=True, timeout=300)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that has the wheel and what it asks for."""
    folder = tmp_path_factory.mktemp("bare")
    venv.create(folder, with_pip=True)
    subprocess.run([folder / "bin/pip", "install", "--quiet", str(wheel)], check=True, timeout=600)
    return folder / "bin"


def test_the_wheel_holds_the_package_its_models_and_its_licences(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    wanted = ("models/keypoints-int8.tflite", "models/keypoints-float32.tflite", "data/eileen_collins.jpg")
    wanted += tuple(f"stream/web/static/page.{ending}" for ending in ("html", "css", "js"))
    assert {f"fkp_edge/{name}" for name in wanted} <= set(names)
    assert {name.rsplit("/", 1)[1] for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE"}
    assert not [name for name in names if name.startswith(("tests/", "train/", "benchmarks/"))]


def test_the_wheel_stays_small(wheel: Path) -> None:
    assert wheel.stat().st_size < 3_000_000


def test_the_bare_install_brings_nothing_of_the_desktop(bare: Path) -> None:
    listed = subprocess.run([bare / "pip", "list", "--format", "json"], check=True, capture_output=True, text=True)
    assert not {package["name"].lower() for package in json.loads(listed.stdout)} & DESKTOP_ONLY


def test_the_bare_install_plays_the_demo(bare: Path, tmp_path: Path) -> None:
    command = [bare / "fkp-edge", "run", "--source", "demo", "--fast", "--json", "--stream", "tcp://127.0.0.1:0"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert json.loads(result.stdout)["states"]["tracking"] > 300


@pytest.mark.parametrize("command", ["train", "convert"])
def test_the_bare_install_names_the_extra_that_a_desktop_command_needs(
    bare: Path, tmp_path: Path, command: str
) -> None:
    arguments = {
        "train": ["train", str(REPOSITORY / "train/keypointnet.toml")],
        "convert": ["convert", str(tmp_path / "model.keras")],
    }[command]
    out = str(tmp_path / "out.tflite")
    result = subprocess.run(
        [bare / "fkp-edge", *arguments, "--data", ".", "--out", out], capture_output=True, text=True
    )
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert f"pip install 'fkp-edge[{command}]'" in result.stderr


@pytest.mark.parametrize(
    ("options", "extra"),
    [
        (["--web", "127.0.0.1:0"], "web"),
        (["--stream", "ws://127.0.0.1:0"], "web"),
        (["--stream", "osc://127.0.0.1:9"], "osc"),
        (["--stream", "mqtt://127.0.0.1:9"], "mqtt"),
    ],
)
def test_the_bare_install_names_the_extra_that_a_stream_needs(
    bare: Path, tmp_path: Path, options: list[str], extra: str
) -> None:
    command = [bare / "fkp-edge", "run", "--source", "demo", "--stream", "tcp://127.0.0.1:0", *options]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert f"pip install 'fkp-edge[{extra}]'" in result.stderr
