"""Each bad input ends with exit code 2 and one line that names the value and the remedy, and writes nothing."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest

from fkp_edge.cli.main import main


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str], error_lists: ModuleType) -> Callable[..., str]:
    """Runs a command that must fail before it says anything else; gives the error without its prefix."""
    page = error_lists.PAGE.read_text()

    def run(*argv: object) -> str:
        assert main([str(arg) for arg in argv]) == 2
        captured = capsys.readouterr()
        assert captured.out == ""
        (line,) = captured.err.splitlines()
        assert line.startswith("fkp-edge: error: ")
        assert error_lists.find(line, page), f"{line!r} cannot be found in {error_lists.PAGE.name}"
        return line.removeprefix("fkp-edge: error: ")

    return run


@pytest.fixture
def text_file(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a text file under any name."""

    def write(name: str) -> Path:
        path = tmp_path / name
        path.write_text("This is a text file, whatever its name says.\n" * 20)
        return path

    return write


@pytest.fixture
def video(tmp_path: Path) -> Callable[..., Path]:
    """Writes a video of 20 frames of noise and keeps a share of its bytes."""

    def write(name: str, codec: str, *, kept: float) -> Path:
        path = tmp_path / name
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), 25, (96, 64))
        rng = np.random.default_rng(0)
        for _ in range(20):
            writer.write(rng.integers(0, 256, (64, 96, 3), np.uint8))
        writer.release()
        content = path.read_bytes()
        path.write_bytes(content[: int(kept * len(content))])
        return path

    return write


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    path = tmp_path / "empty"
    path.mkdir()
    return path


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    """A folder for --draw, which must not be filled."""
    return tmp_path / "drawn"


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
