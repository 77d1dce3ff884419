"""What the suite shares: what the package ships, faces drawn from it, and small files in every format it reads."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import pytest

from fkp_edge.data import FaceSet
from fkp_edge.data.kaggle import COLUMNS
from fkp_edge.data.portrait import portrait, portrait_points
from fkp_edge.geometry import Crop
from fkp_edge.keypoints import FKP15, IBUG68
from fkp_edge.model_file import Card
from fkp_edge.models import shipped_model

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def research_data() -> Path:
    """The labelled photographs that may not ship with the project."""
    path = REPOSITORY.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no research data at {path}")
    return path


SHIPPED = sorted(path.stem for path in shipped_model().parent.glob("*.tflite"))


@pytest.fixture(scope="session", params=SHIPPED)
def shipped(request: pytest.FixtureRequest) -> Path:
    """Each shipped model file."""
    return shipped_model(request.param)


@pytest.fixture(scope="session")
def portrait_faces() -> FaceSet:
    """The shipped portrait as it is, small, and mirrored: three faces of 15 points."""
    grey = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)
    points = portrait_points()
    small = cv2.resize(grey, None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    mirrored = points[list(FKP15.flip)] * [-1, 1] + [grey.shape[1] - 1, 0]
    images = [grey, small, np.ascontiguousarray(grey[:, ::-1])]
    every = np.stack([points, (points + 0.5) * 0.75 - 0.5, mirrored]).astype(np.float32)
    return FaceSet("portraits", FKP15, every, images, ("plain", "small", "mirrored"))


@pytest.fixture
def write_pts() -> Callable[..., Path]:
    """Writes NAME.pts (1-based, as iBUG does) and, beside it, a drawn NAME.png; gives the .pts."""

    def write(path: Path, points: np.ndarray | None = None, *, picture: bool = True) -> Path:
        points = Crop(60, 60, 90).to_frame(IBUG68.mean_shape) if points is None else points
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = "\n".join(f"{x + 1:.3f} {y + 1:.3f}" for x, y in points)
        path.write_text(f"version: 1\nn_points: {len(points)}\n{{\n{rows}\n}}\n")
        if picture:
            drawn = np.full((120, 120), 90, np.uint8)
            cv2.polylines(drawn, [np.round(points).astype(np.int32)], False, 200)
            cv2.imwrite(str(path.with_suffix(".png")), drawn)
        return path

    return write


@pytest.fixture
def kaggle_row() -> dict[str, str]:
    """A valid row of Kaggle's training.csv: column -> cell."""
    coordinates = np.round(FKP15.mean_shape * 96 - 0.5, 4).ravel()
    row = {name: f"{value:.4f}" for name, value in zip(COLUMNS, coordinates, strict=True)}
    return row | {"Image": " ".join(str(i % 256) for i in range(96 * 96))}


@pytest.fixture
def write_csv() -> Callable[..., Path]:
    """Writes rows (column -> cell) as a CSV."""

    def write(path: Path, *rows: dict[str, str]) -> Path:
        lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
        path.write_text("\n".join(lines) + "\n")
        return path

    return write


@pytest.fixture(scope="session")
def card_for() -> Callable[..., Card]:
    """Builds a valid card for a flatbuffer; named fields are replaced."""

    def build(flatbuffer: bytes, **changes: Any) -> Card:
        card = Card(
            name="made",
            schema="fkp15",
            mean_shape=tuple((float(x), float(y)) for x, y in FKP15.mean_shape),
            has_score=True,
            flatbuffer_sha256=hashlib.sha256(flatbuffer).hexdigest(),
            flatbuffer_bytes=len(flatbuffer),
            precision="float32",
            quantisation="",
            parameters=62,
            training={"epochs": 1},
            licence="drawn",
            operators=(),
            accuracy={},
        )
        return msgspec.structs.replace(card, **changes)

    return build


@pytest.fixture(scope="session")
def tiny_tflite() -> Callable[..., bytes]:
    """Builds float32 flatbuffers: the mean grey of a square of `side` through one layer per output of given size.

    On a black picture every output is `BIAS`.
    """
    pytest.importorskip("tensorflow", reason="building tiny networks needs fkp-edge[train]")
    from fkp_edge.train.backend import keras, tf

    layers, constant = keras.layers, keras.initializers.Constant

    @functools.cache
    def build(side: int = 96, outputs: tuple[int, ...] = (30, 1)) -> bytes:
        pixels = layers.Input((side, side, 1), batch_size=1)
        mean = layers.AveragePooling2D(side)(pixels)
        ends = [
            layers.Reshape((size,))(
                layers.Conv2D(size, 1, kernel_initializer=constant(0.001 * (i + 1)), bias_initializer=constant(0.25))(
                    mean
                )
            )
            for i, size in enumerate(outputs)
        ]
        return bytes(tf.lite.TFLiteConverter.from_keras_model(keras.Model(pixels, ends)).convert())

    return build
