"""The worked example of docs/own-network.md, on a drawn file for one epoch: it runs, and convert takes its file."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np

from fkp_edge.convert.load import load_network
from fkp_edge.convert.recipe import ConvertRecipe
from fkp_edge.core.settings import read_toml

PAGE = (Path(__file__).resolve().parents[2] / "docs/own-network.md").read_text()


def example(language: str) -> str:
    return re.search(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)[1]


def test_the_example_saves_a_network_that_its_recipe_describes(tmp_path: Path, kaggle_row, write_csv) -> None:
    (tmp_path / "kaggle").mkdir()
    write_csv(tmp_path / "kaggle/training.csv", *[kaggle_row] * 20)
    (tmp_path / "mine.toml").write_text(example("toml"))
    code = example("python").replace("epochs=30", "epochs=1")
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, capture_output=True, timeout=300)
    recipe = read_toml(tmp_path / "mine.toml", ConvertRecipe)
    network = load_network(tmp_path / "mine.h5", recipe.network)
    given = network.model(np.zeros((1, 96, 96, 1), np.float32))
    assert network.schema.name == "fkp15"
    assert {name: tuple(value.shape) for name, value in given.items()} == {"keypoints": (1, 30)}
