"""CSV files, plain or the one in a zip, row by row: lines, cells, rows and what is unpacked are bounded."""

from __future__ import annotations

import csv
import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from fkp_edge.errors import InputError

__all__ = ["MAX_CELL", "MAX_LINE", "MAX_ROWS", "read_header_row", "table_rows", "whole_number"]

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
