"""What the suite shares: what the package ships, faces drawn from it, and small files in every format it reads."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import flatbuffers
import msgspec
import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

from fkp_edge.core.geometry import Crop
from fkp_edge.core.keypoints import FKP15, IBUG68
from fkp_edge.data import FaceSet
from fkp_edge.data.kaggle import COLUMNS
from fkp_edge.data.pictures import portrait, portrait_points
from fkp_edge.model.file import Card
from fkp_edge.model.shipped import shipped_model

REPOSITORY = Path(__file__).resolve().parents[1]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background jobs ignore Ctrl-C, and so would children
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def research_data() -> Path:
    """The labelled photographs that may not ship with the project."""
    path = REPOSITORY.parent / "shared" / "data"
    if not path.is_dir():
        pytest.skip(f"no research data at {path}")
    return path


def load_program(path: Path) -> ModuleType:
    """A Python file that is not part of the package, such as a generator in docs/, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def error_lists() -> ModuleType:
    """The program that lists every error text of the package."""
    return load_program(REPOSITORY / "docs/troubleshooting/generate.py")


SHIPPED = sorted(path.stem for path in shipped_model().parent.glob("keypoints*.tflite"))


@pytest.fixture(scope="session", params=SHIPPED)
def shipped(request: pytest.FixtureRequest) -> Path:
    """Each shipped keypoint network."""
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


@dataclass
class MadeTensor:
    """A tensor of a flatbuffer that is built by hand."""

    shape: tuple[int, ...]
    type: str = "INT8"
    scale: float | None = 1 / 256
    data: np.ndarray | None = None
    """Makes it a constant."""
    signature: tuple[int, ...] | None = None
    """Its shape with -1 for what may change."""

    def pack(self, buffers: list[Any]) -> Any:
        made = schema.TensorT()
        made.shape, made.type = list(self.shape), getattr(schema.TensorType, self.type)
        made.shapeSignature = list(self.signature) if self.signature else None
        if self.scale:
            made.quantization = schema.QuantizationParametersT()
            made.quantization.scale, made.quantization.zeroPoint = [self.scale], [0]
        if self.data is not None:
            made.buffer = len(buffers)
            buffers.append(schema.BufferT())
            buffers[-1].data = np.frombuffer(self.data.tobytes(), np.uint8)
        return made


@dataclass
class MadeOperator:
    """An operator of a flatbuffer that is built by hand; a name with a dash is a custom one."""

    name: str
    inputs: list[int]
    outputs: list[int]
    version: int = 1
    options: dict[str, int] | None = None
    """Fields of its options; `kind` is their class, such as Conv2D."""

    def pack(self, codes: list[Any]) -> Any:
        made, code = schema.OperatorT(), schema.OperatorCodeT()
        custom = "-" in self.name
        code.builtinCode = schema.BuiltinOperator.CUSTOM if custom else getattr(schema.BuiltinOperator, self.name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.customCode, code.version = self.name if custom else None, self.version
        made.opcodeIndex, made.inputs, made.outputs = len(codes), self.inputs, self.outputs
        codes.append(code)
        if self.options:
            fields = dict(self.options)
            kind = f"{fields.pop('kind')}Options"
            made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
            made.builtinOptions = getattr(schema, f"{kind}T")()
            for name, value in fields.items():
                setattr(made.builtinOptions, name, value)
        return made


@pytest.fixture(scope="session")
def make_tflite() -> Callable[..., bytes]:
    """Builds a flatbuffer from fields of `MadeTensor` and `MadeOperator`; the first tensor is its input."""

    def build(tensors: list[dict[str, Any]], operators: list[dict[str, Any]], outputs: list[int]) -> bytes:
        model, graph = schema.ModelT(), schema.SubGraphT()
        model.version, model.buffers, model.operatorCodes = 3, [schema.BufferT()], []
        graph.tensors = [MadeTensor(**fields).pack(model.buffers) for fields in tensors]
        graph.operators = [MadeOperator(**fields).pack(model.operatorCodes) for fields in operators]
        graph.inputs, graph.outputs = [0], outputs
        model.subgraphs = [graph]
        builder = flatbuffers.Builder()
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    return build


@pytest.fixture(scope="session")
def compiled_tflite(make_tflite) -> bytes:
    """A flatbuffer as the Edge TPU's compiler leaves it: one custom operator from pixels to 15 points and a score."""
    pixels = {"shape": (1, 96, 96, 1), "type": "UINT8", "scale": 1.0}
    operator = {"name": "edgetpu-custom-op", "inputs": [0], "outputs": [1, 2]}
    return make_tflite([pixels, {"shape": (1, 30)}, {"shape": (1, 1)}], [operator], [1, 2])
