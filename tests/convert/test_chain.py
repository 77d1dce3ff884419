"""The chain that `make models` runs, every stage a process of its own, on a few drawn faces."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import crop_from_track
from fkp_edge.core.keypoints import FKP15, IBUG68
from fkp_edge.data.pictures import portrait, portrait_points
from fkp_edge.model.interpreter import open_model

pytest.importorskip("tensorflow_model_optimization", reason="needs fkp-edge[convert]")

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = """
[network]
stem = 8
blocks = [[8, 2, 4], [8, 1, 4], [16, 2, 4], [16, 2, 4]]
head = 32
squeeze = 8
"""


@pytest.fixture
def faces(tmp_path: Path, write_pts) -> Path:
    """The folders that the recipes name, with the portrait in each."""
    data = tmp_path / "data"
    points = crop_from_track(portrait_points(), FKP15.mean_shape).to_frame(IBUG68.mean_shape)
    grey = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)
    for part in ("train", "val"):
        for name in ("lfpw", "helen", "ytf"):
            for index in range(3):
                moved = points + index
                pts = write_pts(data / part / name / f"{index}.pts", moved, picture=False)
                shift = np.float32([[1, 0, index], [0, 1, index]])
                cv2.imwrite(str(pts.with_suffix(".png")), cv2.warpAffine(grey, shift, grey.shape[::-1]))
        scenes = data / part / "scenes"
        scenes.mkdir()
        cv2.imwrite(str(scenes / "a.png"), grey)
        (scenes / "faces.json").write_text(json.dumps({"a.png": [points.tolist()]}))
    return data


def brief(recipe: str, tmp_path: Path) -> Path:
    """The recipe with one epoch of small batches, and a small network where it trains one."""
    path = tmp_path / Path(recipe).name
    lines = (REPOSITORY / recipe).read_text().splitlines()
    text = "\n".join("epochs = 1\nbatch = 4\nnegatives = 2" if line.startswith("epochs") else line for line in lines)
    path.write_text(
        text.replace("max_loss_percent = 2.0", "max_loss_percent = 1e6") + (SMALL if "train" in recipe else "")
    )
    return path


def command(*arguments: object) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "fkp_edge", *map(str, arguments)], capture_output=True, text=True, timeout=900
    )
    assert done.returncode == 0, done.stderr
    assert not re.search(r"cuda|absl|tensorflow|^[IWEF]\d{4}", done.stderr, re.IGNORECASE | re.MULTILINE), done.stderr
    assert len(done.stdout.splitlines()) == 3


def test_the_chain_of_recipes_gives_files_that_run(faces: Path, tmp_path: Path) -> None:
    before: list[object] = []
    for name in ("scratch", "keypointnet68", "keypointnet"):
        out = tmp_path / name
        command("train", brief(f"train/{name}.toml", tmp_path), "--data", faces, "--out", out, *before, "--resume")
        before = ["--start", out / "model.keras"]
    small = tmp_path / "small-int8.tflite"
    recipe = brief("convert/small.toml", tmp_path)
    command("convert", tmp_path / "keypointnet/model.keras", recipe, "--data", faces, "--out", small)
    model = open_model(small)
    assert (model.schema, model.file.card.precision) == (FKP15, "int8")
    assert "asked for were 30.0%" in model.file.card.pruning
