"""Trained networks on disk: model.keras with model.json beside it, as `train` leaves them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from fkp_edge.core.files import write_whole
from fkp_edge.core.keypoints import IBUG68, Schema, from_ibug68, schema_named
from fkp_edge.core.settings import Settings
from fkp_edge.errors import InputError
from fkp_edge.train.backend import keras
from fkp_edge.train.containers import open_keras
from fkp_edge.train.inputs import read_keypoint_description
from fkp_edge.train.twin import float_twin

__all__ = ["carry_weights", "load_trained", "save_trained"]


def save_trained(
    model: keras.Model, recipe: Settings, schema: Schema | None, results: dict[str, Any], out: Path
) -> Path:
    """Writes what `model` is to `out`/model.json and then the model to model.keras, whole or not at all; its path.

    `results` are figures that join the description. Who finds model.keras finds both. A finder has no schema.
    """
    partial, path = out / "model.partial.keras", out / "model.keras"
    model.save(partial)
    described = {
        "recipe": msgspec.to_builtins(recipe),
        "schema": schema.name if schema else "",
        "mean_shape": schema.mean_shape.tolist() if schema else [],
        "parameters": int(model.count_params()),
    } | results
    write_whole({out / "model.json": (json.dumps(described, indent=1) + "\n").encode()})
    partial.replace(path)
    return path


def load_trained(path: Path, *, trust_code: bool = False) -> tuple[keras.Model, dict[str, Any]]:
    """The keypoint network in `path` and what model.json beside it says of it; `trust_code`: see `open_keras`.

    Of a float model file (.tflite) its float twin, and what the card says.

    Raises:
        InputError: a file is missing, damaged, carries code that is not trusted, or is not what `train` writes; or it
            is a finder.
    """
    if path.suffix == ".tflite":
        model, described = float_twin(path)
    else:
        described = read_keypoint_description(path)
        model = open_keras(path, trust_code=trust_code)
    described["recipe"].setdefault("kind", "keypointnet")  # as recipes that name none are read
    return model, described | {"has_score": "score" in model.output}


def carry_weights(source: Path, model: keras.Model, schema: Schema, *, trust_code: bool = False) -> list[str]:
    """Copies the weights of the trained network `source` into `model`, layer by layer, by name.

    The last layer goes over where both speak one schema; and from 68 points to 15, which are sums of them.

    Returns:
        Names of the layers with weights that had no counterpart and stay as they were.

    Raises:
        InputError: `source` cannot be read, or shares no layer with `model`.
    """
    trained, described = load_trained(source, trust_code=trust_code)
    known = {layer.name: layer.get_weights() for layer in trained.layers}
    if "offsets" in known:
        known["offsets"] = _head_for(schema, known["offsets"], described)
    left = []
    for layer in model.layers:
        mine, theirs = layer.get_weights(), known.get(layer.name, [])
        if [w.shape for w in mine] == [w.shape for w in theirs]:
            layer.set_weights(theirs)
        elif mine:
            left.append(layer.name)
    if len(left) == sum(bool(layer.weights) for layer in model.layers):
        raise InputError(f"{source} shares no layer with this recipe's network; expected the same blocks")
    return left


def _head_for(schema: Schema, weights: list[np.ndarray], described: dict[str, Any]) -> list[np.ndarray]:
    """Kernel (1, 1, C, 2K) and bias (2K,) of the last layer, for `schema`; empty where it has no points in common."""
    theirs = schema_named(described["schema"])
    if theirs is schema:
        return weights
    if theirs is not IBUG68:
        return []
    mixing = from_ibug68_matrix(schema)
    kernel, bias = (w.reshape(*w.shape[:-1], theirs.size, 2) for w in weights)
    mean = np.array(described["mean_shape"])
    return [
        np.einsum("abckx,jk->abcjx", kernel, mixing).reshape(*kernel.shape[:3], -1),
        (mixing @ (bias + mean) - schema.mean_shape).ravel(),
    ]


def from_ibug68_matrix(schema: Schema) -> np.ndarray:
    """(K, 68): each point of `schema` as a sum of iBUG's."""
    one = np.eye(IBUG68.size, dtype=np.float32)
    return np.stack([from_ibug68(np.stack([row, row], 1), schema)[:, 0] for row in one], 1)
