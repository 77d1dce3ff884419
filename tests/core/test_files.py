from __future__ import annotations

import contextlib
import errno
import os
import stat
from pathlib import Path

import pytest

from fkp_edge.core.files import NotSyncedError, move, read_bounded, write_whole
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


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_file_keeps_its_mode(tmp_path: Path, mode: int):
    path = tmp_path / "a"
    path.touch()
    path.chmod(mode)
    write_whole({path: b"after"})
    assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_new_file_is_for_all_to_read(tmp_path: Path):
    write_whole({tmp_path / "a": b"new"})
    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o644


def test_a_link_stays_and_what_it_names_is_written(tmp_path: Path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there/a").write_bytes(b"before")
    (tmp_path / "a").symlink_to("there/a")
    write_whole({tmp_path / "a": b"after"})
    assert (tmp_path / "a").is_symlink()
    assert (tmp_path / "there/a").read_bytes() == b"after"
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["a"]


@pytest.mark.parametrize("were_there", [True, False])
def test_of_several_all_are_moved_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, were_there: bool):
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        if were_there:
            path.write_bytes(b"before")
    replace = Path.replace

    def fail_at_c(self: Path, target: Path) -> Path:
        if target.name == "c":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail_at_c)
    with pytest.raises(InputError, match=r"cannot write .*: Input/output error"):
        write_whole(dict.fromkeys(paths, b"after"))
    assert sorted(path.name for path in tmp_path.iterdir()) == (["a", "b", "c"] if were_there else [])
    assert all(path.read_bytes() == b"before" for path in tmp_path.iterdir())


def test_what_is_in_place_is_said_to_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def sync(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("fkp_edge.core.files.os.fsync", sync)
    with pytest.raises(NotSyncedError, match=r"/a is written, but may not last through a power cut: No space left"):
        write_whole({tmp_path / "a": b"new"})
    assert (tmp_path / "a").read_bytes() == b"new"
    with pytest.raises(NotSyncedError, match=r"/b is written, but may not last"):
        move(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"new"


def test_a_name_with_a_nul_is_refused():
    with pytest.raises(InputError, match=r"cannot read 'a.x00b': embedded null byte; expected a text"):
        read_bounded(Path("a\0b"), 10, "a text")
