"""What a training run reads, and whether it can be used: said before TensorFlow is imported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from fkp_edge import data
from fkp_edge.core.files import read_bounded
from fkp_edge.core.keypoints import schema_named
from fkp_edge.data import FaceSet, Scene
from fkp_edge.errors import InputError
from fkp_edge.model.file import ModelFile, read_model_file
from fkp_edge.model.shipped import find_model
from fkp_edge.train.recipe import Recipe

__all__ = [
    "Inputs",
    "check_start",
    "check_unused",
    "described_by_card",
    "read_description",
    "read_inputs",
    "read_keypoint_description",
]

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


class Inputs(NamedTuple):
    """Faces and photographs of a run."""

    train: list[tuple[FaceSet, int]]
    """Each set, and how often an epoch shows its faces."""
    val: list[FaceSet]
    scenes: list[Scene]
    """Photographs that negatives of the score come from."""
    val_scenes: list[Scene]
    """Photographs that the score's temperature is fitted on."""


def read_inputs(recipe: Recipe, data_dir: Path) -> Inputs:
    """What `recipe` names below `data_dir`; labels are read and checked, pictures only found.

    Raises:
        InputError: a folder is missing or empty, or what is in it is wrong.
    """
    schema, names = schema_named(recipe.schema), recipe.data
    return Inputs(
        [(data.load_one(data_dir / folder, schema), times) for folder, times in names.train.items()],
        [data.load_one(data_dir / folder, schema) for folder in names.val],
        data.read_scenes(data_dir / names.scenes) if names.scenes else [],
        data.read_scenes(data_dir / names.val_scenes) if names.val_scenes else [],
    )


def check_unused(out: Path, *, resume: bool, record: str = "history.jsonl") -> None:
    """Makes sure that no run, which writes the file `record`, is in `out`, unless it is gone on with.

    Raises:
        InputError: one is.
    """
    if not resume and (out / record).exists():
        raise InputError(f"{out} already holds a training run; add --resume to go on, or name another --out")


def check_start(start: Path | None, recipe: Recipe) -> Path | None:
    """The network to start from, which is there and one of keypoints: a file, or a shipped one's, given by its name.

    Raises:
        InputError: it is not; or `recipe` keeps blocks that nothing or no such network gives.
    """
    blocks = len(recipe.network.blocks)
    if recipe.fit.frozen > blocks:
        raise InputError(
            f"fit.frozen = {recipe.fit.frozen}, but the network has {blocks} blocks; expected at most that"
        )
    if start is None:
        if recipe.fit.frozen:
            raise InputError(
                f"fit.frozen = {recipe.fit.frozen} keeps the first blocks of an earlier network; add --start MODEL"
            )
        return None
    path = start if start.suffix else find_model(str(start))
    read_keypoint_description(path)
    return path
