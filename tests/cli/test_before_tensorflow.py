"""What is wrong with a path or a recipe is said before TensorFlow, which takes seconds, is imported."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("tensorflow", reason="needs fkp-edge[train]")

RUN = """
import sys
from fkp_edge.cli.main import main
code = main(sys.argv[1:])
print(code, *(name for name in ("tensorflow", "matplotlib", "numpy") if name in sys.modules))
"""
RECIPE = 'name = "a"\n[data]\nval = ["val"]\ntrain = {{"train" = 1}}\n[fit]\nepochs = {epochs}\n'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a recipe, one that is wrong, a run, and files that claim to be networks."""
    (tmp_path / "good.toml").write_text(RECIPE.format(epochs=1))
    (tmp_path / "bad.toml").write_text(RECIPE.format(epochs=0))
    (tmp_path / "lenet.toml").write_text('kind = "published"\nname = "a"\n[network]\nlayers = "lenet5"\n')
    (tmp_path / "run").mkdir()
    (tmp_path / "run/history.jsonl").write_text("")
    for name in ("a.keras", "a.txt", "taken.tflite"):
        (tmp_path / name).write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("train bad.toml --data . --out new", "expected a whole number >= 1"),
        ("train good.toml --data . --out run", "already holds a training run"),
        ("train good.toml --data . --out new", "train does not exist"),
        ("train good.toml --data . --out new --start nope.keras", "nope.keras does not exist"),
        ("train lenet.toml --data . --out new", "training.csv"),
        ("convert a.txt --data . --out new.tflite", "expected a .keras or .h5 file"),
        ("convert a.keras --data nowhere --out new.tflite", "nowhere does not exist"),
        ("convert a.keras bad.toml --data . --out new.tflite", "bad.toml"),
        ("convert a.keras --data . --out taken.tflite", "taken.tflite already exists"),
    ],
)
def test_it_is_said_at_once(place: Path, command: str, said: str) -> None:
    code, *imported = said_by(place, command, said)
    assert code == "2"
    assert set(imported) <= {"numpy"}


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("train nope.toml --data . --out new", "cannot read nope.toml"),
        ("train good.toml --data nowhere --out new", "nowhere does not exist"),
        ("convert nope.keras --data . --out new.tflite", "nope.keras does not exist"),
    ],
)
def test_a_path_that_is_missing_is_said_before_numpy_is_imported(place: Path, command: str, said: str) -> None:
    assert said_by(place, command, said) == ["2"]


def said_by(place: Path, command: str, said: str) -> list[str]:
    """The exit code, and what was imported until `said` was on stderr, alone."""
    done = subprocess.run(
        [sys.executable, "-c", RUN, *command.split()], capture_output=True, text=True, cwd=place, timeout=60
    )
    assert said in done.stderr
    assert len(done.stderr.splitlines()) == 1
    return done.stdout.split()
