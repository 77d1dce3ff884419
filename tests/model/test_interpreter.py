from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fkp_edge.core.keypoints import FKP15, IBUG68, from_ibug68
from fkp_edge.errors import InputError, ModelFileError
from fkp_edge.model.file import ModelFile, Operator, write_model_file
from fkp_edge.model.interpreter import KeypointModel, list_operators, open_model

BLACK = np.zeros((96, 96), np.uint8)
WHITE = np.full((96, 96), 255, np.uint8)


@pytest.fixture
def load(tiny_tflite, card_for) -> Callable[..., KeypointModel]:
    """Loads a tiny network with a card; `card` changes fields of the card, None leaves it out."""

    def build(outputs: tuple[int, ...] = (30, 1), *, side: int = 96, card: dict | None = {}) -> KeypointModel:  # noqa: B006
        flatbuffer = tiny_tflite(side, outputs)
        described = None if card is None else card_for(flatbuffer, **card)
        return KeypointModel(ModelFile(Path("made.tflite"), flatbuffer, described))

    return build


# what a network gives


def test_points_are_the_outputs_offsets_from_the_cards_mean_shape(load):
    points, score = load().predict(BLACK)
    np.testing.assert_allclose(points, FKP15.mean_shape + 0.25, atol=1e-6)
    assert score == pytest.approx(0.25)


def test_points_are_offsets_from_another_mean_shape_where_the_card_has_one(load):
    points, _ = load(card={"mean_shape": ((0.5, 0.125),) * 15}).predict(BLACK)
    np.testing.assert_allclose(points, [[0.75, 0.375]] * 15, atol=1e-6)


def test_grey_levels_go_in_raw(load):
    keypoints, score = load().invoke(WHITE)
    np.testing.assert_allclose(keypoints, 0.25 + 0.255, atol=1e-5)
    np.testing.assert_allclose(score, 0.25 + 2 * 0.255, atol=1e-5)


def test_outputs_are_told_apart_by_size_in_any_order(load):
    points, score = load((1, 30)).predict(WHITE)
    np.testing.assert_allclose(points, FKP15.mean_shape + 0.25 + 2 * 0.255, atol=1e-5)
    assert score == pytest.approx(0.25 + 0.255, abs=1e-5)


def test_a_network_may_have_no_score(load):
    model = load((30,), card={"has_score": False})
    assert not model.has_score
    assert model.invoke(BLACK)[1].shape == (0,)
    assert model.predict(BLACK)[1] == 1.0


def test_a_network_may_speak_ibug68(load):
    mean_shape = tuple((float(x), float(y)) for x, y in IBUG68.mean_shape)
    model = load((136, 1), card={"schema": "ibug68", "mean_shape": mean_shape})
    assert model.schema is IBUG68
    assert model.predict(BLACK)[0].shape == (68, 2)


@pytest.mark.parametrize(("outputs", "schema"), [((30, 1), FKP15), ((136,), IBUG68)])
def test_without_a_card_the_size_tells_the_schema_and_its_mean_shape(load, outputs, schema):
    model = load(outputs, card=None)
    assert model.schema is schema
    np.testing.assert_allclose(model.predict(BLACK)[0], schema.mean_shape + 0.25, atol=1e-6)


def test_a_view_of_a_larger_picture_can_be_given(load):
    picture = np.random.default_rng(0).integers(0, 256, (200, 200), np.uint8)
    view, model = picture[30:126, 50:146], load()
    np.testing.assert_array_equal(model.invoke(view)[0], model.invoke(view.copy())[0])


def test_outputs_are_not_overwritten_by_the_next_crop(load):
    model = load()
    first, _ = model.invoke(BLACK)
    model.invoke(WHITE)
    np.testing.assert_allclose(first, 0.25, atol=1e-6)


# what is refused


def test_another_input_size(load):
    with pytest.raises(ModelFileError) as caught:
        load(side=64)
    assert str(caught.value) == (
        "made.tflite takes [((1, 64, 64, 1), 'float32')], expected one input (1, 96, 96, 1) uint8 of raw grey"
    )


@pytest.mark.parametrize("outputs", [(10, 1), (10,), (30, 30), (30, 1, 1), (30, 1, 5), (1,)])
def test_other_outputs(load, outputs: tuple[int, ...]):
    with pytest.raises(ModelFileError) as caught:
        load(outputs)
    shapes = [(1, size) for size in outputs]
    start, _, end = str(caught.value).partition(" gives outputs ")
    assert (start, end.count("(1, ")) == ("made.tflite", len(shapes) + 2)
    assert all(str(shape) in end for shape in shapes)
    assert end.endswith(", expected (1, 30) and at most one (1, 1)")


def test_other_outputs_without_a_card_name_every_schema(load):
    with pytest.raises(ModelFileError, match=r"expected \(1, 30\) or \(1, 136\) and at most one \(1, 1\)$"):
        load((10, 1), card=None)


@pytest.mark.parametrize(("outputs", "has_score"), [((30,), True), ((30, 1), False)])
def test_a_card_that_is_wrong_about_the_score(load, outputs, has_score: bool):
    with pytest.raises(ModelFileError, match=r"^made\.tflite: its card and its outputs disagree on having a score$"):
        load(outputs, card={"has_score": has_score})


def test_a_card_of_another_schema_than_the_outputs(load):
    with pytest.raises(ModelFileError, match=r"gives outputs .*\(1, 30\).*, expected \(1, 136\)"):
        load(card={"schema": "ibug68"})


def test_a_card_of_an_unknown_schema(load):
    with pytest.raises(InputError, match="keypoint schema 'muct76' is not known; expected one of fkp15, ibug68"):
        load(card={"schema": "muct76"})


@pytest.mark.parametrize(("count", "shape"), [(14, "(14, 2)"), (0, "(0,)")])
def test_a_mean_shape_of_another_size(load, count: int, shape: str):
    with pytest.raises(ModelFileError) as caught:
        load(card={"mean_shape": ((0.5, 0.5),) * count})
    assert str(caught.value) == f"made.tflite: mean shape {shape}, expected (15, 2)"


@pytest.mark.parametrize("kept", [30, 1000, 50_000])
def test_a_cut_flatbuffer_without_a_card(shipped: Path, tmp_path: Path, kept: int):
    path = tmp_path / "cut.tflite"
    path.write_bytes(shipped.read_bytes()[:kept])
    with pytest.raises(ModelFileError, match=r"cut\.tflite cannot be loaded: .*; convert the model again"):
        open_model(path, card_required=False)


# files


def test_open_model_reads_and_loads(tiny_tflite, card_for, tmp_path: Path):
    flatbuffer = tiny_tflite()
    write_model_file(tmp_path / "m.tflite", flatbuffer, card_for(flatbuffer), ())
    assert open_model(tmp_path / "m.tflite").predict(BLACK)[1] == pytest.approx(0.25)


def test_open_model_without_a_card_ignores_what_follows_the_flatbuffer(tiny_tflite, tmp_path: Path):
    path = tmp_path / "tailed.tflite"
    path.write_bytes(tiny_tflite() + b"no zip" * 100)
    model = open_model(path, card_required=False)
    assert model.file.card is None
    assert model.predict(BLACK)[1] == pytest.approx(0.25)


def test_more_threads_give_the_same_points(shipped: Path):
    crop = np.random.default_rng(0).integers(0, 256, (96, 96), np.uint8)
    one, two = (open_model(shipped, threads=n).predict(crop)[0] for n in (1, 2))
    np.testing.assert_allclose(one, two, atol=1e-5)


def test_int8_outputs_are_widened_before_the_zero_point_is_subtracted():
    from fkp_edge.model.shipped import shipped_model

    model = open_model(shipped_model("keypoints-int8"))
    lowest, zero, one, highest = (
        model.decode(np.full(30, raw, np.int8), np.array([raw], np.int8)) for raw in (-128, 0, 1, 127)
    )
    np.testing.assert_allclose(highest[0] - lowest[0], 255 * (one[0] - zero[0]), rtol=1e-3)
    assert (one[0] > zero[0]).all()
    assert (lowest[1], highest[1]) == pytest.approx((0, 1), abs=0.01)


def test_the_shipped_models_agree_on_a_golden_face(shipped: Path):
    from fkp_edge.model.shipped import shipped_model

    crop = open_model(shipped).file.golden[0].crop
    model = open_model(shipped)
    points = model.predict(crop)[0]
    points = from_ibug68(points, FKP15) if model.schema is IBUG68 else points
    other = open_model(shipped_model("keypoints-float32")).predict(crop)[0]
    np.testing.assert_allclose(points, other, atol=2 / 96)


# operators


def test_list_operators_counts_by_name_and_version(tiny_tflite):
    operators = {operator.name: operator for operator in list_operators(tiny_tflite())}
    assert operators["AVERAGE_POOL_2D"] == Operator(name="AVERAGE_POOL_2D", version=1, count=1)
    assert operators["CONV_2D"].count == 2


def test_list_operators_is_sorted(tiny_tflite):
    names = [operator.name for operator in list_operators(tiny_tflite())]
    assert names == sorted(names)


def test_opening_a_network_leaves_stderr_to_the_program() -> None:
    program = (
        "import os, fkp_edge as fkp; os.write(2, b'before '); "
        "fkp.load(); os.write(2, b'after'); print(len(fkp.find(fkp.demo_picture())))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("1\n", "before after")
