"""Reads faces annotated as iBUG does it: NAME.jpg beside NAME.pts, or photographs with a faces.json.

Format: https://ibug.doc.ic.ac.uk/resources/facial-point-annotations/ ; .pts coordinates are 1-based.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fkp_edge.core.files import read_bounded
from fkp_edge.core.geometry import Box
from fkp_edge.core.keypoints import IBUG68, Points, Schema, from_ibug68
from fkp_edge.data.faceset import FaceSet
from fkp_edge.data.pictures import PICTURE_SUFFIXES, Pictures
from fkp_edge.errors import InputError

__all__ = ["Scene", "format_pts", "read_ibug_folder", "read_pts", "read_scenes"]

MAX_PTS_BYTES = 64 * 1024
MAX_JSON_BYTES = 64 * 2**20
MAX_PIXEL = 1e6


def _read_text(path: Path, limit: int) -> str:
    try:
        return read_bounded(path, limit, "a text file").decode()
    except UnicodeDecodeError as error:
        raise InputError(f"cannot read {path}: {error}; expected a text file") from error


def read_pts(path: Path, schema: Schema = IBUG68) -> Points:
    """The points of an iBUG .pts file in the order and number of `schema`: (K, 2), 0-based pixels.

    The file has iBUG's 68 points, or those of `schema` as `fkp-edge label --schema fkp15` writes them.

    Raises:
        InputError: the file is missing, not in the format, or has another number of points.
    """
    text = _read_text(path, MAX_PTS_BYTES)
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        raise InputError(f"{path} has no {{ ... }} block of points; expected the iBUG .pts format")
    cells = text[start + 1 : end].split()
    try:
        values = np.array(cells, np.float64)
    except ValueError:
        bad = next(cell for cell in cells if not _is_number(cell))
        raise InputError(f"{path} has {bad!r} among its points; expected numbers") from None
    if values.size not in (2 * IBUG68.size, 2 * schema.size):
        raise InputError(f"{path} has {values.size / 2:g} points; expected {IBUG68.size} in the iBUG order")
    if not (np.abs(values) < MAX_PIXEL).all():
        raise InputError(f"{path} has a point that is not finite or beyond {MAX_PIXEL:g}; expected pixels")
    points = (values.reshape(-1, 2) - 1).astype(np.float32)
    if np.ptp(points, axis=0).max() < 1:
        raise InputError(f"{path} has all its points in one place; expected a face")
    return from_ibug68(points, schema) if len(points) == IBUG68.size else points


def format_pts(points: Points) -> str:
    """`points` (K, 2), 0-based pixels, as the text of a .pts file.

    >>> format_pts(np.zeros((1, 2), np.float32))
    'version: 1\\nn_points: 1\\n{\\n1.000 1.000\\n}\\n'
    """
    rows = "".join(f"{x + 1:.3f} {y + 1:.3f}\n" for x, y in points)
    return f"version: 1\nn_points: {len(points)}\n{{\n{rows}}}\n"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def read_ibug_folder(folder: Path, schema: Schema) -> FaceSet:
    """The faces of a folder of NAME.pts with a picture of the same name, in the points of `schema`.

    Files named First_Last_NUMBER show the person of that name; every other file shows a person of its own.

    Raises:
        InputError: no .pts file, a .pts without its picture, or a bad .pts.
    """
    files = sorted(folder.glob("*.pts"))
    if not files:
        raise InputError(f"no .pts files in {folder}; expected NAME.pts beside NAME.jpg")
    pictures = {p.stem: p for p in folder.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES}
    for file in files:
        if file.stem not in pictures:
            raise InputError(f"{file} has no picture beside it; expected {file.stem}.jpg or .png")
    points = np.stack([read_pts(file, schema) for file in files])
    labels = tuple(file.stem for file in files)
    people = tuple(_person(label) or label for label in labels)
    return FaceSet(folder.name, schema, points, Pictures([pictures[name] for name in labels]), labels, people=people)


def _person(stem: str) -> str | None:
    """`Amelia_Vega` of `Amelia_Vega_0001`, as YouTube Faces and Labeled Faces in the Wild name files; else None."""
    *names, number = stem.split("_")
    words = "".join(names).replace("-", "").replace(".", "").isalpha()
    if len(names) < 2 or not words or not number.isdigit():
        return None
    return "_".join(names) if names[0][:1].isupper() and names[-1][:1].isupper() else None


@dataclass(frozen=True, eq=False)
class Scene:
    """A whole photograph with its annotated faces."""

    path: Path
    """The picture file."""
    faces: tuple[Points, ...]
    """Annotated faces, each (68, 2) pixels."""
    ignore: tuple[Box, ...]
    """Boxes of faces that nobody annotated: neither hit nor false."""


def read_scenes(folder: Path) -> list[Scene]:
    """The photographs of a folder with `faces.json` (and `unannotated.json`), by name.

    Raises:
        InputError: faces.json is missing, malformed, or names a picture that is not there.
    """
    if not (folder / "faces.json").is_file():
        raise InputError(
            f"{folder} has no faces.json; expected a folder of photographs with one, each face's 68 points"
        )
    faces = _read_json_object(folder / "faces.json")
    ignore = _read_json_object(folder / "unannotated.json") if (folder / "unannotated.json").exists() else {}
    scenes = []
    for name in sorted(faces):
        path = folder / name
        if path.parent != folder or not path.is_file():
            raise InputError(f"{folder / 'faces.json'} names {name!r}, which is not in {folder}")
        try:
            points = tuple(_scene_face(face) for face in faces[name])
            boxes: tuple[Box, ...] = tuple(
                (float(x), float(y), float(w), float(h)) for x, y, w, h in ignore.get(name, [])
            )
        except (TypeError, ValueError) as error:
            raise InputError(f"{folder}: {name}: {error}; expected 68 [x, y] a face and [x, y, w, h] a box") from None
        scenes.append(Scene(path, points, boxes))
    return scenes


def _scene_face(face: Any) -> Points:
    points = np.array(face, np.float64).reshape(IBUG68.size, 2)
    if not (np.abs(points) < MAX_PIXEL).all():
        raise ValueError(f"a point is not finite or beyond {MAX_PIXEL:g}")
    return points.astype(np.float32)


def _read_json_object(path: Path) -> dict[str, list[Any]]:
    try:
        value = json.loads(_read_text(path, MAX_JSON_BYTES))
    except (json.JSONDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not JSON: {error}") from None
    if not isinstance(value, dict) or not all(isinstance(v, list) for v in value.values()):
        raise InputError(f"{path} is not an object of lists; expected file name -> list of faces")
    return value
