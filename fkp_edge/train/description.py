"""What model.json, or a model file's card, says of a trained network: read without TensorFlow."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fkp_edge.core.files import read_bounded
from fkp_edge.errors import InputError
from fkp_edge.model.file import ModelFile, read_model_file

__all__ = ["described_by_card", "read_description", "read_keypoint_description"]

MAX_DESCRIPTION_BYTES = 2**20


def read_keypoint_description(path: Path) -> dict[str, Any]:
    """What model.json says of the keypoint network in `path`, or the card of a float model file (.tflite).

    Raises:
        InputError: a file is missing, damaged, or not what `train` writes; or it is a finder.
    """
    if path.suffix == ".tflite":
        return described_by_card(read_model_file(path))
    described = read_description(path)
    if described["recipe"].get("kind") == "finder":
        raise InputError(f"{path} is a finder, which proposes where faces are; expected a keypoint network's run")
    return described


def read_description(path: Path) -> dict[str, Any]:
    """What model.json says of the network in `path`, of whichever kind it is.

    Raises:
        InputError: a file is missing, damaged, or not what `train` writes.
    """
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected the model.keras of a training run")
    return _described(path.with_suffix(".json"))


def _described(beside: Path) -> dict[str, Any]:
    """What model.json says."""
    try:
        described = json.loads(read_bounded(beside, MAX_DESCRIPTION_BYTES, "what train writes beside the model"))
    except (ValueError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"cannot read {beside} ({error}); expected it beside the model, as train writes it") from error
    if not isinstance(described, dict) or not {"schema", "mean_shape", "recipe", "parameters"} <= described.keys():
        raise InputError(f"{beside} lacks schema, mean_shape, recipe or parameters; expected what train writes")
    if not isinstance(described["recipe"], dict):
        raise InputError(f"{beside}: recipe is {described['recipe']!r:.60}, expected what train writes")
    return described


def described_by_card(file: ModelFile) -> dict[str, Any]:
    """What model.json said of the keypoint network that the model file was made from.

    Raises:
        InputError: it is not float32, or no network of a recipe as it was trained: published, pruned, somebody's own.
    """
    card = file.card
    assert card is not None, "read with its card"
    if card.precision != "float32":
        raise InputError(f"{file.path} is {card.precision}; start from the float file, such as keypoints-float32")
    if card.training.get("kind") != "keypointnet" or "network" not in card.training or card.pruning:
        what = card.pruning or f"a recipe of kind {card.training.get('kind')!r:.40}"
        raise InputError(f"{file.path} comes from {what}; expected the network of a keypointnet recipe, unpruned")
    return {
        "recipe": card.training,
        "schema": card.schema,
        "mean_shape": [list(point) for point in card.mean_shape],
        "parameters": card.parameters,
    }
