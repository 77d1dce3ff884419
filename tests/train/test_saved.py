"""Going on from the weights of an earlier run, on the same points or on others."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fkp_edge.core.keypoints import FKP15, IBUG68, Schema, from_ibug68
from fkp_edge.errors import InputError
from fkp_edge.train.backend import keras
from fkp_edge.train.networks import build_keypointnet
from fkp_edge.train.recipe import Network
from fkp_edge.train.saved import carry_weights

SMALL = Network(stem=8, blocks=((8, 2, 1), (8, 2, 1), (8, 2, 1)), head=16, squeeze=8)
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 1)).astype(np.float32)


def save(folder: Path, schema: Schema, seed: int = 0) -> Path:
    """An untrained network of `schema` as `train` saves it."""
    keras.utils.set_random_seed(seed)
    model = build_keypointnet(SMALL, schema.size)
    model.save(folder / "model.keras")
    described = {"schema": schema.name, "mean_shape": schema.mean_shape.tolist(), "recipe": {}, "parameters": 1}
    (folder / "model.json").write_text(json.dumps(described))
    return folder / "model.keras"


def points(model: keras.Model, schema: Schema) -> np.ndarray:
    return model(PIXELS)["keypoints"].numpy().reshape(2, -1, 2) + schema.mean_shape


def test_a_network_of_68_points_goes_on_as_the_same_network_of_15(tmp_path: Path) -> None:
    source = save(tmp_path, IBUG68)
    model = build_keypointnet(SMALL, 15)
    assert carry_weights(source, model, FKP15) == []
    before = points(keras.models.load_model(source, compile=False), IBUG68)
    assert np.allclose(points(model, FKP15), [from_ibug68(face, FKP15) for face in before], atol=1e-5)


def test_from_15_points_to_68_all_but_the_last_layer_goes_over(tmp_path: Path) -> None:
    assert carry_weights(save(tmp_path, FKP15), build_keypointnet(SMALL, 68), IBUG68) == ["offsets"]


def test_the_same_points_go_over_whole(tmp_path: Path) -> None:
    source, model = save(tmp_path, FKP15), build_keypointnet(SMALL, 15)
    assert carry_weights(source, model, FKP15) == []
    assert np.array_equal(model.get_weights()[-1], keras.models.load_model(source, compile=False).get_weights()[-1])


def test_another_network_is_refused(tmp_path: Path) -> None:
    other = keras.Sequential([keras.layers.Input((96, 96, 1)), keras.layers.Flatten(), keras.layers.Dense(3)])
    with pytest.raises(InputError, match="shares no layer with this recipe's network"):
        carry_weights(save(tmp_path, FKP15), other, FKP15)
