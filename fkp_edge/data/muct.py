"""Reads the MUCT face database: muct76-opencv.csv, 76 points a picture, with the pictures beside it or in `jpg/`.

Milborrow, Morkel and Nicolls, The MUCT Landmarked Face Database, PRASA 2010; http://www.milbo.org/muct
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from fkp_edge.core.keypoints import FKP15
from fkp_edge.data.faceset import FaceSet
from fkp_edge.data.kaggle import table_rows
from fkp_edge.data.pictures import Pictures
from fkp_edge.errors import InputError

__all__ = ["MUCT_COLUMNS", "MUCT_POINTS", "read_muct"]

log = logging.getLogger(__name__)

COUNT = 76
MUCT_COLUMNS = ("name", "tag", *(f"{axis}{i:02}" for i in range(COUNT) for axis in "xy"))
"""The header of muct76-opencv.csv."""
MIRRORED = "ir"
"""How names of rows of mirrored pictures begin; MUCT lists them but has no such pictures."""
MAX_PIXEL = 1e5

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
    if not abs(value) < MAX_PIXEL:
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
