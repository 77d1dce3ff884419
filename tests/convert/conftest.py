"""A small network with random weights, as `train` leaves it, and faces drawn from the shipped portrait."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import HAAR_JITTER, crop_from_labels, extract, jittered
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data.kaggle import COLUMNS
from fkp_edge.data.pictures import portrait, portrait_points


def write_faces(path: Path, rows: int, seed: int) -> None:
    """Jittered crops of the portrait in Kaggle's format."""
    grey = np.asarray(cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY), np.uint8)
    points, rng = portrait_points(), np.random.default_rng(seed)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "Image"])
        for _ in range(rows):
            crop = jittered(crop_from_labels(points, FKP15), HAAR_JITTER, rng)
            pixels = " ".join(map(str, extract(grey, crop).ravel()))
            writer.writerow([*(crop.to_units(points) * 96 - 0.5).ravel().tolist(), pixels])


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a detector finds is kept for one test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    """model.keras in a folder with train.csv and val.csv, which its model.json names."""
    pytest.importorskip("tensorflow_model_optimization", reason="needs fkp-edge[convert]")
    from fkp_edge.train.backend import keras
    from fkp_edge.train.networks import build_keypointnet
    from fkp_edge.train.recipe import Data, Fit, Network, Recipe
    from fkp_edge.train.saved import save_trained

    keras.utils.set_random_seed(5)
    network = Network(stem=8, blocks=((8, 2, 4), (8, 1, 4), (16, 2, 2), (16, 2, 2)), head=32, squeeze=8)
    recipe = Recipe(
        name="tiny", data=Data(train={"train.csv": 1}, val=("val.csv",)), fit=Fit(epochs=1), network=network
    )
    write_faces(tmp_path / "train.csv", 16, seed=1)
    write_faces(tmp_path / "val.csv", 6, seed=2)
    return save_trained(build_keypointnet(network, 15), recipe, FKP15, {}, tmp_path)
