"""Reads the Kaggle competition's files: training.csv with 30 columns of coordinates and 96x96 pixels as text.

https://www.kaggle.com/c/facial-keypoints-detection/data ; empty cells are points that nobody labelled.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from fkp_edge.data.faceset import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.geometry import CROP_SIZE
from fkp_edge.keypoints import FKP15

__all__ = ["read_kaggle"]

PIXELS = CROP_SIZE * CROP_SIZE
MAX_CSV_BYTES = 2 * 2**30
MAX_CELL = 8 * PIXELS
COLUMNS = tuple(f"{name}_{axis}" for name in FKP15.names for axis in "xy")


@contextmanager
def _open_text(path: Path) -> Iterator[TextIO]:
    """The CSV in `path`, or the one training.csv inside it where it is a zip."""
    if path.suffix.lower() != ".zip":
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                yield file
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error
        return
    try:
        with zipfile.ZipFile(path) as archive:
            inside = [i for i in archive.infolist() if i.filename.lower().endswith(".csv")]
            if len(inside) != 1:
                raise InputError(f"{path} holds {len(inside)} .csv files; expected one, training.csv")
            if inside[0].file_size > MAX_CSV_BYTES:
                raise InputError(f"{path}: {inside[0].filename} unpacks to over {MAX_CSV_BYTES} bytes")
            with archive.open(inside[0]) as file:
                yield io.TextIOWrapper(file, encoding="utf-8-sig", newline="")
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise InputError(f"cannot read {path}: {error}; expected Kaggle's training.zip") from error


def read_kaggle(path: Path) -> FaceSet:
    """The rows of a training.csv or training.zip as 96x96 pictures with 15 points, NaN where a cell is empty.

    Raises:
        InputError: a column is missing, or a row has a wrong pixel count or a cell that is no number; the text names
            file, row (the header is row 1) and column.
    """
    csv.field_size_limit(MAX_CELL)
    points, images = [], []
    with _open_text(path) as file:
        reader = csv.reader(file)
        try:
            header = next(reader, [])
            missing = [c for c in (*COLUMNS, "Image") if c not in header]
            if missing:
                raise InputError(f"{path} has no column {missing[0]!r}; expected Kaggle's 30 coordinates and Image")
            order = [header.index(column) for column in COLUMNS]
            image_at = header.index("Image")
            for row in reader:
                where = f"{path} row {reader.line_num}"
                if len(row) != len(header):
                    raise InputError(f"{where} has {len(row)} cells, expected {len(header)}")
                points.append([_coordinate(row[i], where, header[i]) for i in order])
                images.append(_pixels(row[image_at], where))
        except (csv.Error, UnicodeDecodeError) as error:
            raise InputError(f"{path} row {reader.line_num}: {error}; expected comma-separated text") from error
    if not images:
        raise InputError(f"{path} has no rows; expected at least one face")
    labels = tuple(f"row {i + 2}" for i in range(len(images)))
    array = np.array(points, np.float32).reshape(len(points), FKP15.size, 2)
    return FaceSet(path.stem, FKP15, array, images, labels, cropped=True)


def _coordinate(cell: str, where: str, column: str) -> float:
    if not cell:
        return float("nan")
    try:
        value = float(cell)
    except ValueError:
        raise InputError(
            f"{where} column {column}: {cell[:20]!r} is not a number; expected pixels or nothing"
        ) from None
    if not -CROP_SIZE <= value <= 2 * CROP_SIZE:
        raise InputError(f"{where} column {column}: {cell[:20]!r} is far outside the picture; expected 0 to 96")
    return value


def _pixels(cell: str, where: str) -> NDArray[np.uint8]:
    parts = cell.split()
    if len(parts) != PIXELS:
        raise InputError(f"{where} column Image has {len(parts)} pixels, expected {PIXELS} (96x96)")
    try:
        values = np.array(parts, np.int64)
    except (ValueError, OverflowError):
        bad = next(part for part in parts if len(part) > 18 or not (part.isascii() and part.isdigit()))
        raise InputError(
            f"{where} column Image: {bad[:20]!r} is not a pixel; expected whole numbers 0 to 255"
        ) from None
    if values.min() < 0 or values.max() > 255:
        wrong = values[(values < 0) | (values > 255)][0]
        raise InputError(f"{where} column Image: {wrong} is not a pixel; expected 0 to 255")
    return values.astype(np.uint8).reshape(CROP_SIZE, CROP_SIZE)
