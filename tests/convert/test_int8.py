"""What int8 keeps of a small network: its score's range, and where the points lie on average."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow_model_optimization", reason="needs fkp-edge[convert]")

from fkp_edge.convert.attempts import unshifted_mean
from fkp_edge.convert.cards import keypoint_model
from fkp_edge.convert.load import Network
from fkp_edge.convert.quantize import calibration_crops, layer_errors, to_float, to_int8
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data import FaceSet
from fkp_edge.evaluation.comparison import predict_crops
from fkp_edge.model.interpreter import list_operators
from fkp_edge.train.backend import keras
from fkp_edge.train.networks import build_keypointnet
from fkp_edge.train.recipe import Network as Layers

BLACK = np.zeros((96, 96), np.uint8)


@pytest.fixture(scope="module")
def network() -> Network:
    """Scores 0.05 on black and 0.95 on a chequered crop."""
    keras.utils.set_random_seed(3)
    model = build_keypointnet(Layers(stem=4, blocks=((4, 2, 2), (4, 2, 2)), head=8, squeeze=4), 15)
    layer = model.get_layer("score_logit")
    logits = keras.Model(model.input, layer.output)(np.stack([BLACK, chequered()])[..., None].astype(np.float32))
    black, other = np.array(logits).ravel()
    kernel, bias = layer.get_weights()
    gain = 6 / (other - black)
    layer.set_weights([kernel * gain, bias * gain + 3 - gain * other])
    described = {"recipe": {"name": "tiny", "data": {"note": ""}}, "schema": "fkp15", "has_score": True}
    described |= {"mean_shape": FKP15.mean_shape.tolist(), "parameters": model.count_params()}
    return Network(Path("tiny.keras"), described, model)


def chequered() -> np.ndarray:
    return (np.indices((96, 96)).sum(0) // 8 % 2 * 255).astype(np.uint8)


def test_the_score_falls_below_what_calibration_saw(network: Network) -> None:
    crops = np.stack([chequered(), 255 - chequered()])
    model = keypoint_model(network, to_int8(network, crops))
    assert model.predict(chequered())[1] == pytest.approx(0.95, abs=0.05)
    assert model.predict(BLACK)[1] == pytest.approx(0.05, abs=0.1)


def test_the_mean_error_of_int8_is_taken_back(network: Network) -> None:
    """Ranges from black alone cut most of the chequered crop's values off."""
    crops = np.stack([chequered(), 255 - chequered()])
    rough = to_int8(network, crops[:1])
    wanted = predict_crops(keypoint_model(network, to_float(network)), crops).mean(0)
    found = predict_crops(keypoint_model(network, rough, unshifted_mean(network, rough, crops)), crops).mean(0)
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert np.abs(predict_crops(keypoint_model(network, rough), crops).mean(0) - wanted).max() > 1e-2


def test_errors_of_layers_come_worst_first_and_can_stay_in_float(network: Network) -> None:
    crops = np.stack([chequered(), 255 - chequered()])
    errors = layer_errors(network, crops)
    assert [e.snr_db for e in errors] == sorted(e.snr_db for e in errors)
    assert "stem_relu" in [e.layer for e in errors]
    mixed = to_int8(network, crops, in_float=(next(e for e in errors if e.layer == "stem_relu").tensor,))
    operators = {operator.name for operator in list_operators(mixed)}
    assert "DEQUANTIZE" in operators
    assert keypoint_model(network, mixed).has_score


@pytest.mark.parametrize("kind", ["float16", "dynamic"])
def test_other_precisions_are_smaller_and_close(network: Network, kind: str) -> None:
    plain, other = to_float(network), to_float(network, kind)
    assert len(other) < len(plain)
    crops = np.stack([chequered()])
    points = [predict_crops(keypoint_model(network, content), crops) for content in (plain, other)]
    np.testing.assert_allclose(points[1], points[0], atol=0.5)


def test_weights_of_float16_are_not_full_though_their_arithmetic_is_float(network: Network) -> None:
    plain, halved = (keypoint_model(network, to_float(network, kind)) for kind in ("float32", "float16"))
    assert (plain.arithmetic, plain.full_weights) == ("float", True)
    assert (halved.arithmetic, halved.full_weights) == ("float", False)


def test_calibration_crops_repeat_by_seed_and_come_from_every_set(portrait_faces: FaceSet) -> None:
    dark = FaceSet("dark", portrait_faces.schema, portrait_faces.points, [BLACK] * 3, portrait_faces.labels)
    first, again, other = (calibration_crops([portrait_faces, dark], 6, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert [crop.any() for crop in first] == [True, False] * 3
