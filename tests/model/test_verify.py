"""Golden cases replayed on this machine. Where a device would differ, the test changes the case instead."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fkp_edge.cli.main import main
from fkp_edge.errors import ModelFileError
from fkp_edge.model.file import GoldenCase, read_model_file, write_model_file
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model
from fkp_edge.model.verify import TOLERANCES, Difference, Verification, verify


@pytest.fixture
def changed(tmp_path: Path) -> Callable[..., Path]:
    """A copy of a shipped file whose second golden case was changed; `change` gives the new fields."""

    def write(change: Callable[[GoldenCase], dict[str, Any]], name: str = "keypoints-int8") -> Path:
        file = read_model_file(shipped_model(name))
        cases = list(file.golden)
        cases[1] = replace(cases[1], **change(cases[1]))
        path = tmp_path / "changed.tflite"
        write_model_file(path, file.flatbuffer, file.card, tuple(cases))
        return path

    return write


def moved(field: str, by: float) -> Callable[[GoldenCase], dict[str, Any]]:
    """Changes one value of `field`."""

    def change(case: GoldenCase) -> dict[str, Any]:
        array = getattr(case, field).copy()
        flat = array.reshape(-1)
        flat[0] = float(flat[0]) + (by if flat[0] < 100 else -by)  # an int8 or a byte stays one
        return {field: array}

    return change


# what reproduces


def test_every_shipped_file_reproduces(shipped: Path):
    found = verify(open_model(shipped))
    assert found.first is None
    assert found.cases == len(found.differences) / 4 == 3
    assert found.distance_px < 1e-3


def test_an_int8_file_reproduces_to_the_bit(shipped: Path):
    model = open_model(shipped)
    if model.arithmetic != "integer":
        pytest.skip("a float network")
    assert [d.found for d in verify(model).differences if d.stage != "points"] == [0] * 9


def test_it_says_what_ran_the_network():
    runs_on = verify(open_model(shipped_model())).runs_on
    assert runs_on.startswith("LiteRT 2.")


@pytest.mark.parametrize("arithmetic", ["integer", "float", "mixed"])
@pytest.mark.parametrize("runtime", ["LiteRT", "tflite-runtime"])
def test_every_kind_of_network_has_a_tolerance_on_every_runtime(arithmetic, runtime: str):
    assert TOLERANCES[arithmetic, runtime].face <= TOLERANCES[arithmetic, runtime].elsewhere


def test_a_network_without_a_score(tiny_tflite, card_for, tmp_path: Path):
    flatbuffer = tiny_tflite(outputs=(30,))
    path = tmp_path / "m.tflite"
    case = read_model_file(shipped_model("keypoints-float32")).golden[0]
    write_model_file(path, flatbuffer, card_for(flatbuffer, has_score=False), (case_of(flatbuffer, card_for, case),))
    assert verify(open_model(path)).first is None


def case_of(flatbuffer: bytes, card_for, case: GoldenCase) -> GoldenCase:
    """`case` as the network without a score sees it."""
    from fkp_edge.core.geometry import crop_from_box
    from fkp_edge.model.file import ModelFile

    model = KeypointModel(ModelFile(Path(), flatbuffer, card_for(flatbuffer, has_score=False)))
    keypoints, score = model.invoke(case.crop)
    points = crop_from_box(case.box).to_frame(model.decode(keypoints, score)[0])
    return replace(case, raw_keypoints=keypoints, raw_score=score, points=points)


# what differs


@pytest.mark.parametrize(
    ("field", "stage", "by", "unit"),
    [
        ("crop", "pixels", 1, "grey levels"),
        ("raw_keypoints", "keypoints", 2, "output steps"),
        ("raw_score", "score", 1, "output steps"),
        ("points", "points", 0.5, "px"),
    ],
)
def test_the_stage_and_the_case_that_differ_are_named(changed, field: str, stage: str, by: float, unit: str):
    first = verify(open_model(changed(moved(field, by)))).first
    assert (first.stage, first.case, first.unit) == (stage, 2, unit)
    assert first.found == pytest.approx(by, abs=1e-4)


def test_another_box_shows_in_the_pixels(changed):
    path = changed(lambda case: {"box": (case.box[0] + 3, *case.box[1:])})
    assert verify(open_model(path)).first.stage == "pixels"


def test_a_float_network_may_differ_in_its_last_bits(changed):
    assert verify(open_model(changed(moved("raw_score", 5e-5), "keypoints-float32"))).first is None


def test_a_float_network_may_not_differ_by_more(changed):
    first = verify(open_model(changed(moved("raw_score", 1e-3), "keypoints-float32"))).first
    assert (first.stage, first.unit) == ("score", "of probability")


def test_the_distance_is_that_of_all_stages_together(changed):
    found = verify(open_model(changed(moved("points", 3))))
    assert found.distance_px == pytest.approx(3, abs=1e-3)


def difference(stage: Any, case: int, found: float) -> Difference:
    return Difference(stage, case, found, 1.0, "")


def test_the_first_stage_comes_before_the_first_case():
    given = (difference("points", 1, 9), difference("keypoints", 2, 5), difference("keypoints", 3, 7))
    given += (difference("pixels", 1, 0.5), difference("score", 1, 0))
    assert Verification("", 3, given, 0).first == given[2]


def test_a_value_that_is_no_number_differs_most():
    given = (difference("pixels", 1, 7), difference("pixels", 2, float("nan")), difference("pixels", 3, 8))
    assert Verification("", 3, given, 0).first == given[1]


# what cannot be replayed


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"raw_keypoints": np.zeros(30, "f4")}, "raw_keypoints of golden case 2 is (30,) float32, expected (30,)"),
        ({"raw_keypoints": np.zeros(136, "i1")}, "raw_keypoints of golden case 2 is (136,) int8, expected (30,) int8"),
        ({"raw_score": np.zeros(0, np.int8)}, "raw_score of golden case 2 is (0,) int8, expected (1,) int8"),
        ({"crop": np.zeros((64, 64), np.uint8)}, "crop of golden case 2 is (64, 64) uint8, expected (96, 96) uint8"),
        ({"points": np.zeros((68, 2), np.float32)}, "points of golden case 2 is (68, 2) float32, expected (15, 2) "),
        ({"frame": np.zeros((9, 9, 3), "u1")}, "frame of golden case 2 is (9, 9, 3) uint8, expected (height, width)"),
        ({"frame": np.zeros((0, 9), np.uint8)}, "frame of golden case 2 is (0, 9) uint8, expected (height, width)"),
        ({"box": (1.0, 2.0, 3.0)}, "box of golden case 2 is (1.0, 2.0, 3.0), expected x, y, width, height"),
        ({"box": (0.0, 0.0, float("nan"), 9.0)}, "box of golden case 2 is (0.0, 0.0, nan, 9.0), expected x, y, width,"),
        ({"box": (0.0, 0.0, 1e300, 9.0)}, "box of golden case 2 is (0.0, 0.0, 1e+300, 9.0), expected x, y, width,"),
        ({"box": (0.0, 0.0, 0.0, 9.0)}, "box of golden case 2 is (0.0, 0.0, 0.0, 9.0), expected x, y, width,"),
    ],
)  # fmt: skip
def test_golden_cases_of_another_network(changed, fields: dict[str, Any], complaint: str):
    model = open_model(changed(lambda _: fields))
    with pytest.raises(ModelFileError) as caught:
        verify(model)
    assert complaint in str(caught.value)
    assert str(caught.value).endswith("; convert the model again")


# the command


def run(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, str, str]:
    code = main([str(arg) for arg in argv])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_the_command_says_within_how_much_it_reproduces(capsys):
    code, out, err = run(capsys, "verify", "keypoints-int8")
    assert (code, err) == (0, "")
    assert out.startswith("keypoints-int8.tflite: 3 golden cases on LiteRT ")
    assert out.endswith("\nreproduces the desktop within 0.000 px\n")


def test_the_command_names_what_differs(capsys, changed):
    code, out, err = run(capsys, "verify", changed(moved("raw_score", 7)))
    assert (code, err) == (1, "")
    assert out.splitlines()[-1] == (
        "differs from the desktop: score by 7 output steps, expected at most 0, in case 2 of 3"
    )


def test_the_command_prints_json(capsys, changed):
    code, out, _ = run(capsys, "verify", changed(moved("raw_score", 7)), "--json")
    found = json.loads(out)
    assert (code, found["reproduces"], len(found["differences"])) == (1, False, 12)
    assert found["first"] == {"stage": "score", "case": 2, "found": 7, "allowed": 0, "unit": "output steps"}
