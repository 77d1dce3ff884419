from __future__ import annotations

import subprocess
from pathlib import Path

import msgspec
import pytest

from fkp_edge.bench.machine import find_commit, warnings


def test_a_quiet_machine_has_no_warnings(board):
    assert warnings(board, board, 0.1) == []


def test_throttling_is_a_warning(board):
    after = msgspec.structs.replace(board, throttled=0x50005)
    assert list(warnings(board, after, 0.0)) == [
        "the machine was slowed down while it was measured: under-voltage, throttled",
        "meanwhile under-voltage has occurred, throttling has occurred: these figures are not what it can do",
    ]


def test_throttling_before_is_told_from_throttling_meanwhile(board):
    before = msgspec.structs.replace(board, throttled=0x40000)
    assert list(warnings(before, before, 0.0)) == ["since the system started, but before this: throttling has occurred"]


def test_a_busy_machine_and_a_governor_are_warnings(board):
    busy = msgspec.structs.replace(board, governor="ondemand")
    said = " ".join(warnings(busy, busy, 3.0))
    assert "others were at work: 3.0 programs in the minute before, on 4 cores" in said
    assert "the governor ondemand" in said


def test_an_installed_package_has_no_commit(tmp_path: Path):
    assert find_commit(tmp_path) is None


def test_a_changed_working_tree_is_marked(tmp_path: Path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    try:
        subprocess.run([*git, "init", "-q"], check=True, timeout=10)
    except FileNotFoundError:
        pytest.skip("needs git")
    (tmp_path / "a").write_text("1")
    for words in (["add", "a"], ["commit", "-qm", "a"]):
        subprocess.run([*git, *words], check=True, timeout=10)
    clean = find_commit(tmp_path)
    (tmp_path / "a").write_text("2")
    assert clean
    assert find_commit(tmp_path) == f"{clean}+"


def test_without_git_there_is_no_commit(tmp_path: Path):
    (tmp_path / ".git").mkdir()
    assert find_commit(tmp_path, "no-such-program") is None
