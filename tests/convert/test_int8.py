"""What int8 keeps of a small network: its score's range, and where the points lie on average."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs fkp-edge[convert]")

from fkp_edge.convert.quantize import calibration_crops, to_int8, with_bias
from fkp_edge.data import FaceSet
from fkp_edge.interpreter import KeypointModel
from fkp_edge.model_file import ModelFile
from fkp_edge.train.backend import keras
from fkp_edge.train.networks import build_keypointnet
from fkp_edge.train.recipe import Network

BLACK = np.zeros((96, 96), np.uint8)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """Scores 0.05 on black and 0.95 on a chequered crop."""
    keras.utils.set_random_seed(3)
    model = build_keypointnet(Network(stem=4, blocks=((4, 2, 2), (4, 2, 2)), head=8, squeeze=4), 15)
    layer = model.get_layer("score_logit")
    logits = keras.Model(model.input, layer.output)(np.stack([BLACK, chequered()])[..., None].astype(np.float32))
    black, other = np.array(logits).ravel()
    kernel, bias = layer.get_weights()
    gain = 6 / (other - black)
    layer.set_weights([kernel * gain, bias * gain + 3 - gain * other])
    return model


def chequered() -> np.ndarray:
    return (np.indices((96, 96)).sum(0) // 8 % 2 * 255).astype(np.uint8)


def float_points(model: keras.Model, crops: np.ndarray) -> np.ndarray:
    return model.predict(crops[..., None].astype(np.float32), verbose=0)["keypoints"]


def test_the_score_falls_below_what_calibration_saw(network: keras.Model) -> None:
    crops = np.stack([chequered(), 255 - chequered()])
    model = KeypointModel(ModelFile(Path("tiny"), to_int8(network, crops), None))
    assert model.predict(chequered())[1] == pytest.approx(0.95, abs=0.05)
    assert model.predict(BLACK)[1] == pytest.approx(0.05, abs=0.1)


def test_a_corrected_bias_moves_every_point_by_what_was_missing(network: keras.Model) -> None:
    missing = np.linspace(-0.1, 0.1, 30).astype(np.float32)
    crops = np.stack([BLACK, chequered()])
    moved = float_points(with_bias(network, missing), crops) - float_points(network, crops)
    np.testing.assert_allclose(moved, [missing, missing], atol=1e-5)


def test_calibration_crops_repeat_by_seed_and_come_from_every_set(portrait_faces: FaceSet) -> None:
    dark = FaceSet("dark", portrait_faces.schema, portrait_faces.points, [BLACK] * 3, portrait_faces.labels)
    first, again, other = (calibration_crops([portrait_faces, dark], 6, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert [crop.any() for crop in first] == [True, False] * 3
