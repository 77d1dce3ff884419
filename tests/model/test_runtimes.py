"""Which TFLite runtime is taken, in processes that lack one or both."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

FIND = """
import platform, sys
sys.modules["ai_edge_litert"] = None
{change}
from fkp_edge.errors import MissingPartError
from fkp_edge.model.runtimes import find_runtime
try:
    found = find_runtime()
    print(found.name, found.version)
except MissingPartError as error:
    print(error)
"""


def find(folder: Path, change: str = "") -> str:
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})" + FIND.format(change=change)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout.strip()


@pytest.fixture
def made_runtime(tmp_path: Path) -> Path:
    """A folder with something that imports as tflite-runtime does, without a distribution's metadata."""
    (tmp_path / "tflite_runtime").mkdir()
    (tmp_path / "tflite_runtime/__init__.py").touch()
    (tmp_path / "tflite_runtime/interpreter.py").write_text("class Interpreter: ...\ndef load_delegate(name): ...\n")
    return tmp_path


def test_tflite_runtime_is_taken_where_litert_is_not(made_runtime: Path) -> None:
    assert find(made_runtime) == "tflite-runtime of unknown version"


def test_without_any_the_line_says_what_to_install(tmp_path: Path) -> None:
    said = find(tmp_path, 'sys.modules["tflite_runtime"] = None')
    assert said.startswith("no TFLite runtime (")
    assert said.endswith("it runs the network: pip install ai-edge-litert")


def test_a_32_bit_system_is_told_so(tmp_path: Path) -> None:
    said = find(tmp_path, 'sys.modules["tflite_runtime"] = None; platform.machine = lambda: "armv7l"')
    assert said.startswith("no TFLite runtime for 32-bit armv7l: LiteRT has wheels for 64-bit systems only; install")
