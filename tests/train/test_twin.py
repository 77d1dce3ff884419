"""Going on from a float model file: its float twin, the norms' statistics, blocks that keep their weights."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import pytest

from fkp_edge.cli.main import main
from fkp_edge.core.geometry import TRACK_JITTER, crop_from_labels, extract, jittered
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.model.file import Card, GoldenCase, encode_model_file, read_model_file
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model
from fkp_edge.train.backend import keras
from fkp_edge.train.inputs import check_start
from fkp_edge.train.networks import build_keypointnet, freeze_start
from fkp_edge.train.recipe import Data, Fit, Network, Recipe
from fkp_edge.train.twin import float_twin, settle_norms

FLOAT = shipped_model("keypoints-float32")


@pytest.fixture(scope="session")
def crops(faces: FaceSet) -> np.ndarray:
    """Crops (16, 96, 96) around the portrait's face."""
    rng, aim = np.random.default_rng(0), crop_from_labels(faces.points[0], FKP15)
    return np.stack([extract(faces.images[0], jittered(aim, TRACK_JITTER, rng)) for _ in range(16)])


@pytest.mark.parametrize("name", ["keypoints-float32", "keypoints68-float32"])
def test_the_twin_gives_what_the_file_gives(name: str, crops: np.ndarray) -> None:
    file = open_model(shipped_model(name))
    model, described = float_twin(shipped_model(name))
    given = model(crops[..., None].astype(np.float32))
    expected = [file.invoke(crop) for crop in crops]
    assert np.abs(given["keypoints"] - np.stack([points for points, _ in expected])).max() < 1e-4
    assert np.abs(given["score"] - np.stack([score for _, score in expected])).max() < 1e-4
    assert described["schema"] == file.schema.name


def test_settled_norms_compute_in_training_what_the_network_gives(crops: np.ndarray) -> None:
    pixels = crops[..., None].astype(np.float32)
    model, _ = float_twin(FLOAT)
    before = model(pixels)["keypoints"]
    settle_norms(model, pixels)
    assert np.abs(model(pixels)["keypoints"] - before).max() < 1e-4
    assert np.abs(model(pixels, training=True)["keypoints"] - before).max() < 1e-3
    assert np.abs(float_twin(FLOAT)[0](pixels, training=True)["keypoints"] - before).max() > 0.1


def test_frozen_blocks_keep_weights_and_statistics(crops: np.ndarray) -> None:
    model = build_keypointnet(Network(), 15)
    freeze_start(model, 2)
    kept = {layer.name for layer in model.layers if layer.weights and not layer.trainable}
    assert {name.split("_")[0] for name in kept} == {"stem", "block0", "block1"}
    norm = model.get_layer("block1_project_bn")
    before = norm.get_weights()
    model(crops[..., None].astype(np.float32), training=True)
    assert all(np.array_equal(a, b) for a, b in zip(before, norm.get_weights(), strict=True))


def test_a_run_goes_on_from_a_shipped_network_by_its_name(tiny: Path) -> None:
    text = (tiny / "tiny2.toml").read_text()
    head = text.index("[network]"), text.index("[fit]")
    fit = text[head[1] :].replace("epochs = 2", "epochs = 1\nfrozen = 9\nlearning_rate = 1e-6")
    (tiny / "tiny2.toml").write_text(text[: head[0]] + fit)
    words = ["train", str(tiny / "tiny2.toml"), "--data", str(tiny), "--out", str(tiny / "run")]
    assert main([*words, "--start", "keypoints-float32"]) == 0
    made = keras.models.load_model(tiny / "run/model.keras", compile=False)
    pixels = np.full((1, 96, 96, 1), 90, np.float32)
    assert np.abs(made(pixels)["keypoints"] - float_twin(FLOAT)[0](pixels)["keypoints"]).max() < 1e-2


def recipe(frozen: int) -> Recipe:
    return Recipe(name="r", data=Data(train={}, val=()), fit=Fit(epochs=1, frozen=frozen))


@pytest.mark.parametrize(
    ("start", "frozen", "said"),
    [
        ("keypoints-int8", 0, "is int8; start from the float file, such as keypoints-float32"),
        ("keypoints-flaot32", 0, "did you mean keypoints-float32?"),
        ("", 4, "fit.frozen = 4 keeps the first blocks of an earlier network; add --start MODEL"),
        ("keypoints-float32", 12, "fit.frozen = 12, but the network has 9 blocks"),
    ],
)
def test_a_start_that_cannot_be(start: str, frozen: int, said: str) -> None:
    with pytest.raises(InputError) as caught:
        check_start(Path(start) if start else None, recipe(frozen))
    assert said in str(caught.value)


def other_network(card: Card) -> Card:
    network = card.training["network"] | {"head": 64}
    return msgspec.structs.replace(card, training=card.training | {"network": network})


def pruned(card: Card) -> Card:
    return msgspec.structs.replace(card, pruning="30 % of the filters removed")


def deeper(card: Card) -> Card:
    network = card.training["network"]
    more = network | {"blocks": [*network["blocks"], [64, 1, 2]]}
    return msgspec.structs.replace(card, training=card.training | {"network": more})


def moved(case: GoldenCase) -> GoldenCase:
    return GoldenCase(case.frame, case.box, case.crop, case.raw_keypoints + 0.01, case.raw_score, case.points)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (other_network, "no layer of its card's network is left for weights (1, 1, 64, 96)"),
        (deeper, "has no weights for block9_expand of its card's network"),
        (pruned, "comes from 30 % of the filters removed; expected the network of a keypointnet recipe, unpruned"),
    ],
)
def test_a_card_that_does_not_fit_the_weights(change: Callable[[Card], Card], said: str, tmp_path: Path) -> None:
    file = read_model_file(FLOAT)
    assert file.card is not None
    (tmp_path / "odd.tflite").write_bytes(encode_model_file(file.flatbuffer, change(file.card), file.golden))
    with pytest.raises(InputError) as caught:
        float_twin(tmp_path / "odd.tflite")
    assert said in str(caught.value)


def test_golden_cases_of_other_weights_are_refused(tmp_path: Path) -> None:
    file = read_model_file(FLOAT)
    assert file.card is not None
    golden = tuple(map(moved, file.golden))
    (tmp_path / "odd.tflite").write_bytes(encode_model_file(file.flatbuffer, file.card, golden))
    with pytest.raises(InputError, match=r"other points than its golden cases \(by 0.0100 crop units"):
        float_twin(tmp_path / "odd.tflite")
