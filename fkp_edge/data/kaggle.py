"""Reads the Kaggle competition's files: training.csv with 30 columns of coordinates and 96x96 pixels as text.

https://www.kaggle.com/c/facial-keypoints-detection/data ; empty cells are points that nobody labelled.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data.faceset import FaceSet
from fkp_edge.data.tables import read_header_row, table_rows, whole_number
from fkp_edge.errors import InputError

__all__ = ["COLUMNS", "read_kaggle", "read_kaggle_test"]

PIXELS = CROP_SIZE * CROP_SIZE
COLUMNS = tuple(f"{name}_{axis}" for name in FKP15.names for axis in "xy")
"""Kaggle's 30 coordinates, in its order."""


def read_kaggle(path: Path) -> FaceSet:
    """The rows of a training.csv or .zip as 96x96 pictures with 15 points, NaN where a cell is empty.

    A test.csv or .zip, which has no points, takes them from the test_labels.csv beside it.

    Raises:
        InputError: a column is missing, or a row has a wrong pixel count or a cell that is no number; the text names
            file, row (the header is row 1) and column. Or a test.csv has no labels beside it.
    """
    header = read_header_row(path)
    if "ImageId" in header and COLUMNS[0] not in header:
        return _read_labelled_test(path)
    points, images, labels = [], [], []
    for where, cells in table_rows(path, (*COLUMNS, "Image"), "Kaggle's 30 coordinates and Image"):
        points.append(_coordinates(cells, where))
        images.append(_pixels(cells[-1], where))
        labels.append(where.removeprefix(f"{path} "))
    return FaceSet(path.stem, FKP15, np.array(points, np.float32), images, tuple(labels), cropped=True)


def read_kaggle_test(path: Path) -> tuple[tuple[int, ...], list[NDArray[np.uint8]]]:
    """The ImageIds of a test.csv or .zip and their 96x96 pictures.

    Raises:
        InputError: as `read_kaggle`; or an ImageId comes twice.
    """
    ids, images = [], []
    for where, cells in table_rows(path, ("ImageId", "Image"), "Kaggle's ImageId and Image"):
        ids.append(whole_number(cells[0], where, "ImageId"))
        images.append(_pixels(cells[1], where))
    if len(set(ids)) != len(ids):
        twice = next(number for number in ids if ids.count(number) > 1)
        raise InputError(f"{path} has ImageId {twice} twice; expected each once")
    return tuple(ids), images


def _read_labelled_test(path: Path) -> FaceSet:
    beside = path.with_name("test_labels.csv")
    if not beside.exists():
        raise InputError(
            f"{path} has no labels (Kaggle keeps those of its test set); expected test_labels.csv beside it, or the "
            "training file"
        )
    points = {}
    for where, cells in table_rows(beside, ("ImageId", *COLUMNS), "ImageId and Kaggle's 30 coordinates"):
        points[whole_number(cells[0], where, "ImageId")] = _coordinates(cells[1:], where)
    ids, images = read_kaggle_test(path)
    if lost := next((number for number in ids if number not in points), None):
        raise InputError(f"{beside} has no row for ImageId {lost} of {path.name}; expected every picture's labels")
    labels = tuple(f"ImageId {number}" for number in ids)
    array = np.array([points[number] for number in ids], np.float32)
    return FaceSet(path.stem, FKP15, array, images, labels, cropped=True)


def _coordinates(cells: Sequence[str], where: str) -> list[list[float]]:
    """The 15 points of a row, from cells in the order of `COLUMNS`."""
    flat = [_coordinate(cell, where, column) for cell, column in zip(cells, COLUMNS, strict=False)]
    return [flat[i : i + 2] for i in range(0, len(flat), 2)]


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
