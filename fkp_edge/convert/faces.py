"""Which faces a conversion calibrates and tunes on, and on which others it is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from fkp_edge import data
from fkp_edge.convert.recipe import ConvertRecipe
from fkp_edge.core.keypoints import FKP15, Schema
from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.train.published.recipe import Data as FileData
from fkp_edge.train.published.rows import load_rows, split_rows

__all__ = ["Faces", "load_faces"]

KAGGLE = FileData()
"""The split of a competition's file for networks whose own is not known."""


class Faces(NamedTuple):
    """Labelled faces for one conversion; no face is in both."""

    train: list[FaceSet]
    times: list[int]
    """How often an epoch of fine-tuning shows each set."""
    val: list[FaceSet]


def load_faces(recipe: ConvertRecipe, trained_as: dict[str, Any], schema: Schema, data_dir: Path) -> Faces:
    """The faces that `recipe` names below `data_dir`, else those that the network was trained and validated on.

    A network whose recipe (`trained_as`) is not known gets DIR/train and DIR/val, or training.csv, split.

    Raises:
        InputError: nothing is there, what is there is wrong, or one folder is named for both.
    """
    both = set(recipe.calibration.folders) & set(recipe.val)
    if both:
        raise InputError(f"{sorted(both)[0]} is in calibration.folders and in val; the gate wants faces of its own")
    train = _named(recipe.calibration.folders, schema, data_dir)
    val = _named(recipe.val, schema, data_dir)
    if train and val:
        return Faces(train, [1] * len(train), val)
    own = _own(trained_as, schema, data_dir)
    return Faces(train or own.train, [1] * len(train) or own.times, val or own.val)


def _named(folders: tuple[str, ...], schema: Schema, data_dir: Path) -> list[FaceSet]:
    return [data.load_one(data_dir / folder, schema) for folder in folders]


def _own(trained_as: dict[str, Any], schema: Schema, data_dir: Path) -> Faces:
    known = trained_as.get("data", {})
    if trained_as.get("kind") == "keypointnet":
        train: dict[str, int] = known["train"]
        val = _named(tuple(known["val"]), schema, data_dir)
        return Faces(_named(tuple(train), schema, data_dir), list(train.values()), val)
    if "file" in known:
        return _split(msgspec.convert(known, FileData), data_dir)
    if (data_dir / "train").is_dir() and (data_dir / "val").is_dir():
        sets = data.load(data_dir / "train", schema)
        return Faces(sets, [1] * len(sets), data.load(data_dir / "val", schema))
    if schema is FKP15 and any((data_dir / name).exists() for name in ("training.csv", "training.zip")):
        return _split(KAGGLE, data_dir)
    raise InputError(
        f"{data_dir} has no labelled faces to calibrate and to compare on; expected train/ and val/ with .pts files, "
        "or Kaggle's training.csv, or name calibration.folders and val in the recipe"
    )


def _split(config: FileData, data_dir: Path) -> Faces:
    """Kaggle rows as the published networks split them: calibrates on what trained them, judges on the rest."""
    parts = split_rows(load_rows(config, data_dir), config)
    return Faces([parts["train"]], [1], [parts["val"]])
