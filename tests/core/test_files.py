from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

import pytest

from fkp_edge.core.files import read_bounded, write_whole
from fkp_edge.errors import InputError


def test_a_file_of_just_the_limit_is_read(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"1234")
    assert read_bounded(tmp_path / "a", 4, "four bytes") == b"1234"


def test_a_file_over_the_limit_is_refused(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"12345")
    with pytest.raises(InputError, match=r"/a has over 4 bytes; expected four bytes$"):
        read_bounded(tmp_path / "a", 4, "four bytes")


def test_a_device_without_end_is_refused():
    with pytest.raises(InputError, match=r"^/dev/zero has over 1000 bytes; expected a text$"):
        read_bounded(Path("/dev/zero"), 1000, "a text")


@pytest.mark.parametrize(("name", "why"), [("none", "No such file or directory"), (".", "Is a directory")])
def test_what_is_no_file_is_refused(tmp_path: Path, name: str, why: str):
    with pytest.raises(InputError, match=rf"^cannot read .*: {why}; expected a text$"):
        read_bounded(tmp_path / name, 1000, "a text")


def test_files_are_replaced_and_nothing_is_left_beside_them(tmp_path: Path):
    (tmp_path / "a").write_bytes(b"before")
    write_whole({tmp_path / "a": b"after", tmp_path / "b": b"new"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"after", "b": b"new"}


@pytest.mark.parametrize("bad", ["none/b", "folder"])
def test_where_one_file_cannot_be_written_none_is(tmp_path: Path, bad: str):
    (tmp_path / "folder").mkdir()
    (tmp_path / "a").write_bytes(b"before")
    with pytest.raises(InputError, match=rf"^cannot write .*/{bad}: .*; name a folder that is there and has room$"):
        write_whole({tmp_path / "a": b"after", tmp_path / bad: b"new"})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "folder"]
    assert (tmp_path / "a").read_bytes() == b"before"


@pytest.mark.parametrize(("number", "is_written"), [(errno.EINVAL, True), (errno.EIO, False)])
def test_a_file_system_that_cannot_sync_folders_is_no_broken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, is_written: bool
):
    def sync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fkp_edge.core.files.os.fsync", sync)
    with contextlib.nullcontext() if is_written else pytest.raises(InputError, match="Input/output error"):
        write_whole({tmp_path / "a": b"new"})
