"""Labelled faces from files: `load` finds the format by what lies there."""

from __future__ import annotations

from pathlib import Path

from fkp_edge.core.keypoints import FKP15, Schema
from fkp_edge.data.faceset import FaceSet
from fkp_edge.data.kaggle import read_kaggle, read_kaggle_test
from fkp_edge.data.pictures import find_pictures, kind_of, read_picture
from fkp_edge.data.readers import MUCT_COLUMNS, Scene, read_ibug_folder, read_muct, read_pts, read_scenes
from fkp_edge.errors import InputError

__all__ = [
    "FaceSet",
    "Scene",
    "find_pictures",
    "load",
    "load_one",
    "read_ibug_folder",
    "read_kaggle",
    "read_kaggle_test",
    "read_muct",
    "read_picture",
    "read_pts",
    "read_scenes",
]


TABLES = ("training.csv", "training.zip", "muct76-opencv.csv")
"""Of labelled faces, as their publishers name them."""


def load(path: Path, schema: Schema = FKP15) -> list[FaceSet]:
    """The face sets at `path`: a Kaggle CSV or zip, MUCT's CSV, a folder that holds one of these, a folder of .pts, or
    a folder of such folders.

    Raises:
        InputError: nothing readable is there, or `schema` has points that the labels lack.
    """
    if path.suffix.lower() in {".csv", ".zip"}:
        if schema is not FKP15:
            raise InputError(f"{path} labels Kaggle's 15 points; expected a model of schema fkp15, got {schema.name}")
        return [read_muct(path) if _is_muct(path) else read_kaggle(path)]
    if not path.exists():
        raise InputError(f"{path} does not exist; expected a folder of .pts files or Kaggle's training.csv or .zip")
    if not path.is_dir():
        raise InputError(
            f"{path} is {kind_of(path)}; expected labelled faces: a folder of .pts files, or Kaggle's training.csv or "
            ".zip"
        )
    folders = [path, *sorted(p for p in path.iterdir() if p.is_dir())]
    sets = [read_ibug_folder(folder, schema) for folder in folders if any(folder.glob("*.pts"))]
    if sets:
        return sets
    for table in TABLES:
        if (path / table).is_file():
            return load(path / table, schema)
    raise InputError(
        f"no labelled faces in {path}; expected NAME.pts beside NAME.jpg, there or one folder below, or Kaggle's "
        "training.csv or .zip"
    )


def _is_muct(path: Path) -> bool:
    header = ",".join(MUCT_COLUMNS).encode()
    try:
        with path.open("rb") as file:
            return file.read(len(header)) == header
    except OSError:  # the reader says what is wrong
        return False


def load_one(path: Path, schema: Schema) -> FaceSet:
    """The one face set at `path`; see `load` for the rest."""
    sets = load(path, schema)
    if len(sets) != 1:
        raise InputError(f"{path} holds {len(sets)} face sets; expected a folder with .pts files or one CSV")
    return sets[0]
