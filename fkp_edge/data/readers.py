"""Readers of labelled faces: iBUG's .pts files and MUCT's CSV."""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fkp_edge.core.files import read_bounded
from fkp_edge.core.geometry import Box
from fkp_edge.core.keypoints import FKP15, IBUG68, Points, Schema, from_ibug68
from fkp_edge.data.faceset import FaceSet
from fkp_edge.data.kaggle import table_rows
from fkp_edge.data.pictures import PICTURE_SUFFIXES, Pictures
from fkp_edge.errors import InputError

__all__ = [
    "MUCT_COLUMNS",
    "MUCT_POINTS",
    "Scene",
    "format_pts",
    "read_ibug_folder",
    "read_muct",
    "read_pts",
    "read_scenes",
]

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


log = logging.getLogger(__name__)

COUNT = 76
MUCT_COLUMNS = ("name", "tag", *(f"{axis}{i:02}" for i in range(COUNT) for axis in "xy"))
"""The header of muct76-opencv.csv."""
MIRRORED = "ir"
"""How names of rows of mirrored pictures begin; MUCT lists them but has no such pictures."""
MAX_FRAME_PIXEL = 1e5

MUCT_POINTS = {
    "left_eye_center": 36,
    "right_eye_center": 31,
    "left_eye_inner_corner": 34,
    "left_eye_outer_corner": 32,
    "right_eye_inner_corner": 29,
    "right_eye_outer_corner": 27,
    "left_eyebrow_inner_end": 18,
    "left_eyebrow_outer_end": 15,
    "right_eyebrow_inner_end": 24,
    "right_eyebrow_outer_end": 21,
    "nose_tip": 67,
    "mouth_left_corner": 54,
    "mouth_right_corner": 48,
    "mouth_center_top_lip": 51,
    "mouth_center_bottom_lip": 57,
}
"""Kaggle's point -> number of MUCT's, from 0; left and right are the subject's, as everywhere here. Eye centres are
pupils."""

_NEEDED = [FKP15.names.index(n) for n in ("left_eye_center", "right_eye_center", "mouth_center_bottom_lip")]


def read_muct(path: Path) -> FaceSet:
    """The faces of a muct76-opencv.csv in Kaggle's 15 points, NaN where MUCT says (0, 0): not to be seen.

    Rows of mirrored pictures are passed over; so are, with a warning, rows without the eye centres or the lower lip,
    which frame the crop.

    Raises:
        InputError: a column or a picture is missing, or a cell is no number; the text names file, row and column.
    """
    columns = [column for name in FKP15.names for column in _columns(name)]
    names, points, left_out = [], [], 0
    for where, (name, *cells) in table_rows(path, ("name", *columns), "MUCT's name, tag, x00, y00 to x75, y75"):
        if name.startswith(MIRRORED):
            continue
        flat = [_pixel(cell, where, column) for cell, column in zip(cells, columns, strict=True)]
        face = np.array(flat, np.float32).reshape(-1, 2)
        face[(face == 0).all(1)] = np.nan
        if np.isnan(face[_NEEDED]).any():
            left_out += 1
            continue
        names.append(name)
        points.append(face)
    if not names:
        raise InputError(
            f"{path} has no row of a picture with both eye centres and the lower lip; expected one at least"
        )
    if left_out:
        log.warning("%s: %d rows lack an eye centre or the lower lip and are left out", path, left_out)
    pictures = Pictures([_picture(path, name) for name in names])
    people = tuple(name[:4] for name in names)  # i000qa-fn: i, three digits of the subject, session, camera
    return FaceSet("muct", FKP15, np.stack(points), pictures, tuple(names), people=people)


def _columns(name: str) -> tuple[str, str]:
    number = MUCT_POINTS[name]
    return f"x{number:02}", f"y{number:02}"


def _pixel(cell: str, where: str, column: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise InputError(f"{where} column {column}: {cell[:20]!r} is not a number; expected pixels") from None
    if not abs(value) < MAX_FRAME_PIXEL:
        raise InputError(f"{where} column {column}: {cell[:20]!r} is no pixel; expected a place in the picture")
    return value


def _picture(path: Path, name: str) -> Path:
    """The picture of row `name`, which may hold no path: it comes from a file."""
    for folder in (path.parent, path.parent / "jpg", path.parent.parent / "jpg"):
        picture = folder / f"{name}.jpg"
        if picture.parent == folder and picture.is_file():
            return picture
    raise InputError(
        f"{path} names {name!r}, but there is no {name}.jpg beside it or in jpg/; unpack MUCT's pictures there"
    )
