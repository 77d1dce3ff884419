"""What convert and train refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fkp_edge.cli.main import main

# convert


@pytest.fixture
def converts(refused, tmp_path: Path) -> Callable[..., str]:
    """The error of `convert`; nothing may have been written."""
    pytest.importorskip("tensorflow", reason="needs fkp-edge[convert]")

    def run(model: Path, *options: object, out: Path = tmp_path / "out.tflite") -> str:
        before = sorted(tmp_path.rglob("*"))
        error = refused("convert", model, *options, "--data", tmp_path, "--out", out)
        assert sorted(tmp_path.rglob("*")) == before
        return error

    return run


def test_convert_a_missing_model(converts, tmp_path: Path):
    (tmp_path / "model.json").write_text('{"schema": "fkp15", "mean_shape": [], "recipe": {}, "parameters": 1}')
    path = tmp_path / "model.keras"
    assert converts(path).startswith(f"{path} does not exist; ")


def test_convert_a_model_with_an_unfinished_description(converts, text_file, tmp_path: Path):
    (tmp_path / "model.json").write_text('{"schema": "fkp15"}')
    assert "model.json lacks schema, mean_shape, recipe or parameters" in converts(text_file("model.keras"))


@pytest.mark.parametrize("loss", ["0%", "much", "-1", "101%", "nan"])
def test_convert_with_a_loss_that_is_none(loss: str, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as ended:
        main(["convert", "model.keras", "--data", ".", "--out", "out.tflite", f"--max-loss={loss}"])
    assert ended.value.code == 2
    assert f"--max-loss: '{loss}' is not a percentage above 0, such as 1%" in capsys.readouterr().err


def test_convert_requires_all_mapped_of_the_edge_tpu_only(converts, text_file):
    error = converts(text_file("model.keras"), "--require-all-mapped")
    assert error == "--require-all-mapped is about the Edge TPU's compiler; add --edgetpu"


def test_convert_for_the_edge_tpu_without_its_compiler(converts, text_file, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "")
    error = converts(text_file("model.keras"), "--edgetpu")
    assert "edgetpu_compiler" in error
    assert "https://coral.ai/docs/edgetpu/compiler/" in error


def test_convert_a_text_file_named_keras(converts, text_file, tmp_path: Path):
    (tmp_path / "model.json").write_text('{"schema": "fkp15", "mean_shape": [], "recipe": {}, "parameters": 1}')
    path = text_file("model.keras")
    assert converts(path).startswith(f"{path} cannot be read as a tf-keras model (it starts b'This is ')")


@pytest.mark.parametrize("taken", ["net-int8.tflite", "net-float32.tflite"])
def test_convert_to_a_file_that_exists(converts, tmp_path: Path, taken: str):
    (tmp_path / taken).write_text("mine")
    error = converts(tmp_path / "model.keras", out=tmp_path / "net-int8.tflite")
    assert error == f"{tmp_path / taken} already exists; name another --out or add --overwrite"
    assert (tmp_path / taken).read_text() == "mine"


def test_convert_to_a_missing_folder(converts, tmp_path: Path):
    folder = tmp_path / "none"
    error = converts(tmp_path / "model.keras", out=folder / "out.tflite")
    assert error == f"{folder} is not a folder; make it, or name another --out"


def test_convert_with_an_unknown_key(converts, tmp_path: Path):
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[calibration]\ncuont = 3\n")
    error = converts(tmp_path / "model.keras", recipe)
    assert error.startswith(f"{recipe} [calibration]: unknown key 'cuont'; did you mean 'count'? known: ")


# train


@pytest.fixture
def trains(refused, tmp_path: Path) -> Callable[..., str]:
    """The error of `train` with a small recipe, changed by `extra` lines at its top."""
    pytest.importorskip("tensorflow", reason="needs fkp-edge[train]")

    def run(extra: str = "", *, out: Path = tmp_path / "run", data: Path = tmp_path) -> str:
        recipe = tmp_path / "recipe.toml"
        recipe.write_text(f'name = "a"\n{extra}\n[data]\nval = ["val"]\ntrain = {{"train" = 1}}\n[fit]\nepochs = 1\n')
        return refused("train", recipe, "--data", data, "--out", out)

    return run


def test_train_with_an_unknown_key(trains, tmp_path: Path):
    assert trains('shema = "fkp15"').startswith(
        f"{tmp_path / 'recipe.toml'}: unknown key 'shema'; did you mean 'schema'? known: name, "
    )
    assert not (tmp_path / "run").exists()


def test_train_with_an_unknown_schema(trains):
    assert trains('schema = "fkp14"') == "keypoint schema 'fkp14' is not known; expected one of fkp15, ibug68"


def test_train_with_a_wrong_type(trains, tmp_path: Path):
    assert trains("schema = 15") == f"{tmp_path / 'recipe.toml'}: schema = 15 cannot be used; expected a text"


def test_train_on_a_missing_folder(trains, tmp_path: Path):
    assert trains(data=tmp_path / "none") == (
        f"{tmp_path / 'none'} does not exist; expected a folder with labelled faces"
    )
    assert trains() == (
        f"{tmp_path / 'train'} does not exist; expected a folder of .pts files or Kaggle's training.csv or .zip"
    )
    assert not (tmp_path / "run").exists()


def test_train_into_a_run_that_exists(trains, tmp_path: Path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "history.jsonl").write_text("{}\n")
    assert trains() == f"{tmp_path / 'run'} already holds a training run; add --resume to go on, or name another --out"
    assert (tmp_path / "run" / "history.jsonl").read_text() == "{}\n"


def test_train_with_a_missing_recipe(refused, tmp_path: Path):
    pytest.importorskip("tensorflow", reason="needs fkp-edge[train]")
    path = tmp_path / "none.toml"
    error = refused("train", path, "--data", tmp_path, "--out", tmp_path / "run")
    assert error == f"cannot read {path}: No such file or directory; expected a TOML file"
