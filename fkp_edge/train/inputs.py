"""What a training run reads, and whether it can be used: said before TensorFlow is imported."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from fkp_edge import data
from fkp_edge.core.keypoints import schema_named
from fkp_edge.data import FaceSet, Scene
from fkp_edge.errors import InputError
from fkp_edge.model.shipped import find_model
from fkp_edge.train.description import read_keypoint_description
from fkp_edge.train.recipe import Recipe

__all__ = ["Inputs", "check_start", "check_unused", "read_inputs"]


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
