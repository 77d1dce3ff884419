"""The competition's files through a client of the same name that answers as Kaggle's does."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from fkp_edge.cli.main import main

CLIENT = """#!/bin/sh
echo "$@" > {folder}/asked
{answer}
"""


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts a program called `kaggle` on the PATH that runs `answer`."""

    def install(answer: str) -> None:
        (tmp_path / "bin").mkdir()
        program = tmp_path / "bin/kaggle"
        program.write_text(CLIENT.format(folder=tmp_path, answer=answer))
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}")

    return install


def make_download(path: Path, *, lacks: str = "") -> Path:
    """The zip that Kaggle's client leaves: a table, and a zip in it for each CSV."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("IdLookupTable.csv", "RowId\n")
        for name in ("training", "test"):
            if name == lacks:
                continue
            with zipfile.ZipFile(path.with_name(f"{name}-made.zip"), "w") as inner:
                inner.writestr(f"{name}.csv", f"{name}\n")
            archive.write(path.with_name(f"{name}-made.zip"), f"{name}.zip")
        archive.writestr("../evil.csv", "")
    return path


def fetch(out: Path) -> int:
    return main(["data", "kaggle", "--out", str(out)])


def test_the_files_are_fetched_and_unpacked(client, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    made = make_download(tmp_path / "made.zip")
    out = tmp_path / "data"
    client(f"cp {made} {out}/facial-keypoints-detection.zip")
    assert fetch(out) == 0
    assert (tmp_path / "asked").read_text() == f"competitions download -c facial-keypoints-detection -p {out}\n"
    names = ("training.csv", "test.csv", "IdLookupTable.csv")
    assert capsys.readouterr().out.splitlines() == [str(out / name) for name in names]
    assert (out / "training.csv").read_text() == "training\n"
    assert not (tmp_path / "evil.csv").exists()
    assert not (out / "evil.csv").exists()


def test_a_client_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert fetch(tmp_path / "data") == 2
    assert capsys.readouterr().err == (
        "fkp-edge: error: Kaggle's client is not installed; it fetches the competition's files: pip install kaggle\n"
    )


def test_a_client_that_refuses(client, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    client("echo 403 Client Error: Forbidden; exit 1")
    assert fetch(tmp_path / "data") == 2
    assert "kaggle ended with 1: 403 Client Error: Forbidden; set up its API token" in capsys.readouterr().err


def test_something_else_is_downloaded(client, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "data"
    client(f"echo no > {out}/facial-keypoints-detection.zip")
    assert fetch(out) == 2
    assert "cannot unpack" in capsys.readouterr().err


def test_a_download_that_lacks_a_file(client, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    made = make_download(tmp_path / "made.zip", lacks="test")
    out = tmp_path / "data"
    client(f"cp {made} {out}/facial-keypoints-detection.zip")
    assert fetch(out) == 2
    assert "cannot unpack" in capsys.readouterr().err


def test_what_a_killed_unpacking_left_is_unpacked_again(client, tmp_path: Path):
    made = make_download(tmp_path / "made.zip")
    out = tmp_path / "data"
    out.mkdir()
    (out / "training.csv").write_text("trai")
    client(f"cp {made} {out}/facial-keypoints-detection.zip")
    assert fetch(out) == 0
    assert (out / "training.csv").read_text() == "training\n"
    assert list(out.glob("*.partial")) == []
