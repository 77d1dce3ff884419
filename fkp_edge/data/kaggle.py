"""Reads the Kaggle competition's files: training.csv with 30 columns of coordinates and 96x96 pixels as text.

https://www.kaggle.com/c/facial-keypoints-detection/data ; empty cells are points that nobody labelled.
"""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data.faceset import FaceSet
from fkp_edge.errors import InputError

__all__ = [
    "COLUMNS",
    "MAX_CELL",
    "MAX_LINE",
    "MAX_ROWS",
    "read_header_row",
    "read_kaggle",
    "read_kaggle_test",
    "table_rows",
    "whole_number",
]

MAX_CSV_BYTES = 2 * 2**30
MAX_CELL = 8 * 96 * 96
"""A picture of 96x96 pixels, each a number and a space."""
MAX_LINE = 2**18
MAX_ROWS = 50_000
"""Kaggle's training file has 7,049, MUCT's 7,510; pictures of so many rows take half a gigabyte."""


def read_header_row(path: Path) -> list[str]:
    """The names of the columns; none of an empty file.

    Raises:
        InputError: the file is missing, damaged or no text.
    """
    with _open_text(path) as file:
        return next(_rows(file, path), (1, []))[1]


def table_rows(path: Path, columns: Sequence[str], expected: str) -> Iterator[tuple[str, list[str]]]:
    """The cells of `columns` in each row of the CSV or zip at `path`, after the row's place as errors name it.

    Blank lines are passed over; they count as rows, as in an editor.

    Raises:
        InputError: a column is missing (`expected` says what the file should have), a row is short, there are too many
            rows or none.
    """
    with _open_text(path) as file:
        rows = _rows(file, path)
        header = next(rows, (1, []))[1]
        missing = [c for c in columns if c not in header]
        if missing:
            raise InputError(f"{path} has no column {missing[0]!r}; expected {expected}")
        order = [header.index(column) for column in columns]
        number = 1
        for number, row in rows:
            where = f"{path} row {number}"
            if len(row) != len(header):
                raise InputError(f"{where} has {len(row)} cells, expected {len(header)}")
            yield where, [row[i] for i in order]
        if number == 1:
            raise InputError(f"{path} has no rows; expected at least one")


def whole_number(cell: str, where: str, column: str) -> int:
    """The cell as a whole number from 1.

    Raises:
        InputError: it is none.
    """
    if not (cell.isascii() and cell.isdigit() and len(cell) < 10 and int(cell)):
        raise InputError(f"{where} column {column}: {cell[:20]!r} is not a whole number; expected 1 or more")
    return int(cell)


@contextmanager
def _open_text(path: Path) -> Iterator[TextIO]:
    """The CSV in `path`, or the one training.csv inside it where it is a zip."""
    if path.suffix.lower() != ".zip":
        try:
            with path.open(newline="", encoding="utf-8-sig") as file:
                yield file
        except OSError as error:
            raise InputError(
                f"cannot read {path}: {error.strerror or error}; expected a file of Kaggle's format"
            ) from error
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


def _rows(file: TextIO, path: Path) -> Iterator[tuple[int, list[str]]]:
    """Number and cells of each row that is not blank; what is no text is an error that names the row."""
    csv.field_size_limit(MAX_CELL)
    number = 0
    try:
        for number, row in enumerate(csv.reader(_lines(file, path)), 1):
            if number > MAX_ROWS + 1:
                raise InputError(f"{path} has over {MAX_ROWS} rows; expected fewer: split the file")
            if row:
                yield number, row
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path} row {number + 1}: {error}; expected comma-separated text") from error


def _lines(file: TextIO, path: Path) -> Iterator[str]:
    for number in range(1, 2**62):
        line = file.readline(MAX_LINE)
        if not line:
            return
        if len(line) == MAX_LINE and line[-1] != "\n":
            raise InputError(f"{path} line {number} has over {MAX_LINE} letters; expected comma-separated text")
        yield line


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
