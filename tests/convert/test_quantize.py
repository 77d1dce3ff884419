from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow_model_optimization", reason="needs fkp-edge[convert]")

from fkp_edge.convert.load import Network
from fkp_edge.convert.quantize import layer_errors, without_dense
from fkp_edge.train.backend import keras
from fkp_edge.train.published.networks import build_published
from fkp_edge.train.published.recipe import Network as PublishedNetwork

layers = keras.layers


def trunk(name: str) -> keras.Model:
    pixels = layers.Input((96, 96, 1))
    x = layers.Flatten()(layers.AveragePooling2D(16)(pixels))
    return keras.Model(pixels, layers.Dense(5, activation="relu")(x), name=name)


@pytest.fixture
def model() -> keras.Model:
    """Two networks inside a third, Dense layers in all of them."""
    pixels = layers.Input((96, 96, 1))
    joined = layers.Concatenate()([trunk(name)(pixels) for name in ("a", "b")])
    out = layers.Dense(6, name="offsets")(layers.Dense(4, use_bias=False)(joined))
    return keras.Model(pixels, {"keypoints": out})


def every_layer(model: keras.Model) -> list[keras.layers.Layer]:
    inner = [every_layer(layer) if isinstance(layer, keras.Model) else [layer] for layer in model.layers]
    return [layer for group in inner for layer in group]


def test_dense_layers_become_convolutions_that_give_the_same(model: keras.Model):
    rewritten = without_dense(model)
    kinds = [type(layer).__name__ for layer in every_layer(rewritten)]
    assert "Dense" not in kinds
    assert kinds.count("Conv2D") == 4
    pixels = np.random.default_rng(0).integers(0, 256, (3, 96, 96, 1)).astype(np.float32)
    before, after = (network(pixels)["keypoints"].numpy() for network in (model, rewritten))
    np.testing.assert_allclose(after, before, rtol=1e-5)


def test_a_network_without_dense_layers_stays_what_it_is():
    pixels = layers.Input((96, 96, 1))
    out = layers.Reshape((2,))(layers.Conv2D(2, 1)(layers.AveragePooling2D(96)(pixels)))
    rewritten = without_dense(keras.Model(pixels, {"keypoints": out}))
    assert [type(layer).__name__ for layer in rewritten.layers] == [
        "InputLayer",
        "AveragePooling2D",
        "Conv2D",
        "Reshape",
    ]


def test_the_noise_of_a_layer_before_a_pool_is_measured_not_read_from_unwritten_memory():
    keras.utils.set_random_seed(2)
    network = build_published(PublishedNetwork(layers="lenet5"), 15, data_dir=Path())
    described = {"recipe": {"name": "", "data": {"note": ""}}, "schema": "fkp15", "has_score": False}
    crops = np.random.default_rng(0).integers(0, 256, (4, 96, 96)).astype(np.uint8)
    errors = layer_errors(Network(Path(), described, network), crops)
    assert sum("Relu" in error.tensor and "lenet5/conv2d" in error.tensor for error in errors) == 2
    assert all(20 < error.snr_db < 200 for error in errors)
