"""Faces for training tests: the shipped portrait, moved and relabelled; no research data."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import HAAR_JITTER, crop_from_labels, extract, jittered
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data import FaceSet
from fkp_edge.data.kaggle import COLUMNS
from fkp_edge.data.pictures import portrait, portrait_points

pytest.importorskip("tensorflow", reason="the training part is not installed: pip install 'fkp-edge[train]'")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a detector finds is kept for one test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def faces() -> FaceSet:
    """The portrait six times."""
    grey = np.asarray(cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY), np.uint8)
    points = np.stack([portrait_points()] * 6)
    return FaceSet("portrait", FKP15, points, [grey] * 6, tuple(f"face{i}" for i in range(6)))


def write_kaggle(path: Path, rows: int, seed: int) -> None:
    """Jittered crops of the portrait in Kaggle's format."""
    grey = np.asarray(cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY), np.uint8)
    points, rng = portrait_points(), np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "Image"])
        for _ in range(rows):
            crop = jittered(crop_from_labels(points, FKP15), HAAR_JITTER, rng)
            pixels = extract(grey, crop)
            writer.writerow([*(crop.to_units(points) * 96 - 0.5).ravel().tolist(), " ".join(map(str, pixels.ravel()))])


RECIPE = """
name = "tiny"
[data]
val = ["val.csv"]
[data.train]
"train.csv" = 1
[network]
stem = 8
blocks = [[8, 2, 1], [8, 2, 1], [8, 2, 1]]
head = 16
squeeze = 8
[fit]
epochs = {epochs}
batch = 8
negatives = 2
"""


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A folder with train.csv, val.csv and recipes of two and four epochs."""
    write_kaggle(tmp_path / "train.csv", 16, seed=1)
    write_kaggle(tmp_path / "val.csv", 4, seed=2)
    for epochs in (2, 4):
        (tmp_path / f"tiny{epochs}.toml").write_text(RECIPE.format(epochs=epochs))
    return tmp_path
