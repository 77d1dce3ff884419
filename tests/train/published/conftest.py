"""Small files in Kaggle's format, drawn from the shipped portrait, with the competition's pattern of missing values."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import HAAR_JITTER, crop_from_labels, extract, jittered
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data import FaceSet
from fkp_edge.data.kaggle import COLUMNS
from fkp_edge.data.pictures import portrait, portrait_points

COMMON = (0, 1, 10, 14)


def make_faces(count: int, complete: Callable[[int], bool]) -> FaceSet:
    """Jittered crops of the portrait; rows for which `complete` is false keep the four common points only."""
    grey = np.asarray(cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY), np.uint8)
    truth, rng = portrait_points(), np.random.default_rng(0)
    images, points = [], []
    for row in range(count):
        crop = jittered(crop_from_labels(truth, FKP15), HAAR_JITTER, rng)
        face = crop.to_units(truth) * 96 - 0.5
        if not complete(row):
            face[[i for i in range(15) if i not in COMMON]] = np.nan
        images.append(extract(grey, crop))
        points.append(face)
    labels = tuple(f"row {i + 2}" for i in range(count))
    return FaceSet("training", FKP15, np.array(points, np.float32), images, labels, cropped=True)


def write_rows(path: Path, faces: FaceSet) -> None:
    """`faces` as a training.csv."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "Image"])
        for image, points in zip(faces.images, faces.points, strict=True):
            cells = ["" if np.isnan(v) else f"{v:.5f}" for v in points.ravel()]
            writer.writerow([*cells, " ".join(map(str, image.ravel()))])


@pytest.fixture(scope="session")
def faces() -> FaceSet:
    """24 rows, every third complete, beginning with the first."""
    return make_faces(24, lambda row: row % 3 == 0)


RECIPE = """
kind = "published"
name = "small"
missing = "masked"
[network]
layers = "lenet5"
[data]
val_share = 0.25
test_share = 0.25
seed = 1
[fit]
epochs = 2
batch = 8
"""


@pytest.fixture
def work(tmp_path: Path, faces: FaceSet) -> Path:
    """A folder with training.csv and small.toml: LeNet-5, two epochs."""
    write_rows(tmp_path / "training.csv", faces)
    (tmp_path / "small.toml").write_text(RECIPE)
    return tmp_path


@pytest.fixture
def recipe(work: Path) -> Callable[..., Path]:
    """Writes small.toml with some of its text replaced (old text -> new text)."""

    def write(changes: dict[str, str]) -> Path:
        text = RECIPE
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        (work / "small.toml").write_text(text)
        return work / "small.toml"

    return write
