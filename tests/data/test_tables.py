"""Tables that fill the memory are refused; blank lines are none of a table's rows but count as lines."""

from __future__ import annotations

import resource
import zipfile
from pathlib import Path

import pytest

from fkp_edge.data.kaggle import MAX_CELL, MAX_LINE, MAX_ROWS, read_header_row, table_rows
from fkp_edge.errors import InputError


def rows(path: Path) -> list[tuple[str, list[str]]]:
    return list(table_rows(path, ("a", "b"), "a and b"))


@pytest.fixture
def table(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "t.csv"
        path.write_text(text)
        return path

    return write


@pytest.mark.parametrize("end", ["", "\n", "\n\n", "\r\n\r\n\n"])
def test_blank_lines_at_the_end_are_fine(table, end: str) -> None:
    path = table("a,b\n1,2\n3,4" + end)
    assert rows(path) == [(f"{path} row 2", ["1", "2"]), (f"{path} row 3", ["3", "4"])]


def test_errors_name_the_row_as_an_editor_does(table) -> None:
    path = table("a,b\n\n1,2\n\n3\n")
    with pytest.raises(InputError, match=r"t\.csv row 5 has 1 cells, expected 2"):
        rows(path)


def test_a_cell_of_several_lines_is_one_row(table) -> None:
    path = table('a,b\n"1\n1",2\n3,4\n')
    assert [where for where, _ in rows(path)] == [f"{path} row 2", f"{path} row 3"]


def test_a_table_of_blank_lines_has_no_rows(table) -> None:
    with pytest.raises(InputError, match="has no rows"):
        rows(table("a,b\n\n\n"))


def test_an_empty_file_has_no_columns(table) -> None:
    assert read_header_row(table("")) == []


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize("start", ["", "a,b\n1,2\n"])
def test_a_line_without_end_is_not_read_to_its_end(tmp_path: Path, start: str) -> None:
    path = tmp_path / "t.csv"
    with path.open("w") as file:
        file.write(start)
        file.truncate(2**32)  # sparse: takes no disk
    before = peak()
    with pytest.raises(InputError, match=f"has over {MAX_LINE} letters"):
        rows(path)
    assert peak() - before < 50 * 2**20


def test_cells_are_bounded(table) -> None:
    with pytest.raises(InputError, match="row 2: field larger than field limit"):
        rows(table(f"a,b\n{'x' * (MAX_CELL + 1)},2\n"))


def test_a_cell_that_is_never_closed_is_bounded(table) -> None:
    with pytest.raises(InputError, match="row 2: field larger than field limit"):
        rows(table('a,b\n1,"' + "x\n" * MAX_CELL))


def test_rows_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("training.csv", "a,b\n" + "1,2\n" * (MAX_ROWS + 1))
    with pytest.raises(InputError, match=f"has over {MAX_ROWS} rows"):
        rows(path)


def test_a_damaged_zip(tmp_path: Path) -> None:
    path = tmp_path / "t.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("training.csv", "a,b\n" + "".join(f"{i},{i * i}\n" for i in range(5000)))
    content = bytearray(path.read_bytes())
    content[1000:2000] = bytes(1000)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"cannot read .*t\.zip|row \d+"):
        rows(path)
