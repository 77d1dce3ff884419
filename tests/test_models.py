"""The models that ship, and how they are told apart."""

from __future__ import annotations

import json

import msgspec
import pytest

from fkp_edge.cli.main import main
from fkp_edge.errors import InputError
from fkp_edge.model.deployment import list_models
from fkp_edge.model.shipped import find_model, shipped_model, shipped_names


def test_every_shipped_network_is_listed_with_its_figures(shipped_names_on_disk: list[str]) -> None:
    found = list_models()
    assert sorted(model.name for model in found) == shipped_names_on_disk
    assert [model.name for model in found if model.is_default] == ["keypoints-int8"]
    for model in found:
        assert model.points == (68 if "68" in model.name else 15)
        assert model.precision in model.name
        assert 2 < model.nme_percent < 10
        assert set(model.instructions) == {"pi4", "pi5"}, f"{model.name}: make bench-arm64 ARGS=--update"


@pytest.fixture
def shipped_names_on_disk() -> list[str]:
    return sorted(path.stem for path in shipped_model().parent.glob("keypoints*.tflite"))


def test_the_command_prints_a_row_a_model_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    assert [row.split()[0] for row in rows[: len(shipped_names())]] == shipped_names()
    assert main(["models", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == msgspec.to_builtins(list_models())


@pytest.mark.parametrize(("text", "near"), [("keypoint-int8", "keypoints-int8"), ("keypoints68", "keypoints68-int8")])
def test_an_unknown_model_is_told_the_nearest_and_all_that_ship(text: str, near: str) -> None:
    with pytest.raises(InputError) as caught:
        find_model(text)
    assert f"did you mean {near}?" in str(caught.value)
    assert ", ".join(shipped_names()) in str(caught.value)


def test_a_path_is_not_looked_for_among_the_shipped() -> None:
    assert find_model("models/mine.tflite").name == "mine.tflite"
