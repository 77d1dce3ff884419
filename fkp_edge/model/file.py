"""The self-describing model file: a TFLite flatbuffer with a zip appended, which holds its card and golden cases.

Every TFLite runtime ignores the tail; Python's `zipfile` (and `unzip`) read it.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.files import write_whole
from fkp_edge.core.geometry import Box
from fkp_edge.core.keypoints import Points
from fkp_edge.errors import InputError, ModelFileError
from fkp_edge.model.finder_maps import FinderCase, finder_arrays, read_finder_cases
from fkp_edge.model.tail import NoTailError, TailError, open_tail, read_arrays, read_member

__all__ = [
    "Card",
    "Compilation",
    "GoldenCase",
    "ModelFile",
    "Operator",
    "encode_model_file",
    "parse_model_file",
    "read_model_file",
    "write_model_file",
]

FORMAT = 1
MAX_FILE_BYTES = 256 * 2**20
MAX_CARD_BYTES = 2**20
MAX_GOLDEN_BYTES = 32 * 2**20
MAX_CASES = 100
MAX_NAME = 200
CARD, GOLDEN = "card.json", "golden.npz"
Case = TypeVar("Case")


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of TFLite operator in the flatbuffer."""

    name: str
    version: int
    count: int


class Compilation(msgspec.Struct, frozen=True, kw_only=True):
    """How a flatbuffer was compiled for the Edge TPU."""

    compiler: str
    """Its name and version, as it printed them."""
    mapped: int
    """Operators that run on the Edge TPU."""
    on_cpu: tuple[str, ...]
    """Operators left to the CPU, each with its count and the compiler's reason."""
    source_sha256: str
    """Of the int8 flatbuffer that it was compiled from, and which made the golden cases."""


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """What a model file says of itself."""

    format: int = FORMAT
    """Version of this record; others are refused."""
    kind: Literal["finder"] | msgspec.UnsetType = msgspec.UNSET
    """`finder` for a network that proposes where faces are; a keypoint network has none."""
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME)]
    """Name of the model. Every client is told it, in a datagram too."""
    schema: str
    """Keypoint schema, such as fkp15; empty in a finder."""
    mean_shape: tuple[tuple[float, float], ...]
    """(K, 2), crop units: the keypoints output holds offsets from it; empty in a finder."""
    has_score: bool
    """False for a network without a score: the engine then verifies its face with Haar now and then."""
    flatbuffer_sha256: str
    flatbuffer_bytes: int
    precision: str
    """float32 or int8."""
    quantisation: str
    """How it was quantised, in words; empty for float32."""
    pruning: str = ""
    """What was pruned, in words."""
    parameters: int
    """Weights of the network it was made from."""
    training: dict[str, Any]
    """The training recipe and its figures."""
    licence: str
    """What the weights may be used for, and which data made them."""
    operators: tuple[Operator, ...]
    accuracy: dict[str, Any]
    """Validation set -> NME in percent of the float network (`float_nme_percent`) and of this file (`nme_percent`); of
    a finder: recall in percent (`float_recall_percent`, `recall_percent`)."""
    edgetpu: Compilation | msgspec.UnsetType = msgspec.UNSET
    """Only in files compiled for the Edge TPU."""


@dataclass(frozen=True, eq=False)
class GoldenCase:
    """One picture and what each stage made of it when the file was written."""

    frame: NDArray[np.uint8]
    """(H, W)."""
    box: Box
    crop: NDArray[np.uint8]
    """(96, 96): `extract` of the box."""
    raw_keypoints: NDArray[Any]
    """(2K,) as the model gives it, in its own type."""
    raw_score: NDArray[Any]
    """(1,), or empty without a score."""
    points: Points
    """(K, 2), frame pixels."""


@dataclass(frozen=True, eq=False)
class ModelFile:
    """A model file that was read and checked."""

    path: Path
    flatbuffer: bytes
    card: Card | None
    """None where the file was opened without one."""
    golden: tuple[GoldenCase, ...] = ()
    finder_golden: tuple[FinderCase, ...] = ()
    """The golden cases of a finder, instead."""

    @property
    def sha256(self) -> str:
        """Of the flatbuffer, hexadecimal."""
        return hashlib.sha256(self.flatbuffer).hexdigest()


def read_model_file(path: Path, *, card_required: bool = True) -> ModelFile:
    """Reads and checks the model file at `path`.

    Raises:
        ModelFileError: the file is missing, no TFLite flatbuffer, has no card, or its card does not fit it.
    """
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            content = file.read(MAX_FILE_BYTES + 1) if size <= MAX_FILE_BYTES else b""  # a device has no size
    except OSError as error:
        raise ModelFileError(f"cannot read {path}: {error.strerror or error}; expected a .tflite file") from error
    except ValueError as error:  # a NUL in the name
        raise ModelFileError(f"cannot read {str(path)!r}: {error}; expected a .tflite file") from error
    if (size := max(size, len(content))) > MAX_FILE_BYTES:
        raise ModelFileError(f"{path} has {size} bytes, expected a model of at most {MAX_FILE_BYTES}")
    return parse_model_file(path, content, card_required=card_required)


def parse_model_file(path: Path, content: bytes, *, card_required: bool = True) -> ModelFile:
    """The model file whose bytes are `content`; see `read_model_file`, `path` is its name."""
    if content[4:8] != b"TFL3":
        raise ModelFileError(
            f"{path} is not a TFLite model, which has TFL3 in bytes 4 to 8; "
            "expected a file that fkp-edge convert wrote, or the name of one that ships (fkp-edge models lists them)"
        )
    try:
        archive, length = open_tail(content)
    except NoTailError as error:
        if card_required:
            raise ModelFileError(
                f"{path} has no card; expected a file that fkp-edge convert wrote, or add --no-card"
            ) from error
        return ModelFile(path, content, None)
    except TailError as error:
        raise ModelFileError(f"{path}: {error}; convert the model again") from error
    card = _read_card(_member(archive, CARD, MAX_CARD_BYTES, path), path)
    cases = _member(archive, GOLDEN, MAX_GOLDEN_BYTES, path)
    is_finder = card.kind == "finder"
    golden = () if is_finder else _read_golden(cases, path, _keypoint_cases)
    finder_golden = _read_golden(cases, path, read_finder_cases) if is_finder else ()
    model = ModelFile(path, content[:length], card, golden, finder_golden)
    if (found := model.sha256) != card.flatbuffer_sha256:
        raise ModelFileError(
            f"{path} is damaged: the flatbuffer's sha256 is {found[:12]}..., its card says "
            f"{card.flatbuffer_sha256[:12]}...; copy or convert it again"
        )
    return model


def _member(archive: zipfile.ZipFile, name: str, limit: int, path: Path) -> bytes:
    try:
        return read_member(archive, name, limit)
    except KeyError:
        raise ModelFileError(f"{path} has no {name} in its tail; expected a file that fkp-edge convert wrote") from None
    except TailError as error:
        raise ModelFileError(f"{path}: {error}; convert the model again") from error


def _read_card(text: bytes, path: Path) -> Card:
    try:
        card = msgspec.json.decode(text, type=Card)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise ModelFileError(f"{path}: its card cannot be read ({error}); convert the model again") from error
    if card.format != FORMAT:
        raise ModelFileError(f"{path}: card format {card.format}, this version reads {FORMAT}; upgrade fkp-edge")
    return card


def _read_golden(
    content: bytes, path: Path, cases_of: Callable[[Mapping[str, NDArray[Any]]], tuple[Case, ...]]
) -> tuple[Case, ...]:
    try:
        arrays = read_arrays(content, MAX_GOLDEN_BYTES)
        if not 0 <= (count := int(arrays["count"])) <= MAX_CASES:
            raise TailError(f"{count} cases, expected at most {MAX_CASES}")
        return cases_of(arrays)
    except (KeyError, ValueError, TypeError) as error:
        raise ModelFileError(f"{path}: its golden cases cannot be read ({error}); convert the model again") from error


def _keypoint_cases(arrays: Mapping[str, NDArray[Any]]) -> tuple[GoldenCase, ...]:
    return tuple(_golden_case(arrays, i) for i in range(int(arrays["count"])))


def _golden_case(arrays: Mapping[str, NDArray[Any]], number: int) -> GoldenCase:
    box = arrays[f"box{number}"]
    if box.ndim != 1:
        raise TailError(f"box{number} is {box.tolist()!s:.60}, expected x, y, width, height")
    return GoldenCase(
        frame=arrays[f"frame{number}"],
        box=tuple(box.tolist()),
        crop=arrays[f"crop{number}"],
        raw_keypoints=arrays[f"keypoints{number}"],
        raw_score=arrays[f"score{number}"],
        points=arrays[f"points{number}"],
    )


def write_model_file(
    path: Path, flatbuffer: bytes, card: Card, golden: tuple[GoldenCase, ...], *, overwrite: bool = False
) -> None:
    """Writes the file whole or not at all; the same content gives the same bytes.

    Raises:
        InputError: `path` exists and `overwrite` is not given, or cannot be written.
    """
    if path.exists() and not overwrite:
        raise InputError(f"{path} already exists; name another --out or add --overwrite")
    write_whole({path: encode_model_file(flatbuffer, card, golden)})


def encode_model_file(
    flatbuffer: bytes, card: Card, golden: tuple[GoldenCase, ...] = (), finder_golden: tuple[FinderCase, ...] = ()
) -> bytes:
    """The bytes of a model file: flatbuffer, then a zip of card and golden cases, which are of the card's kind."""
    arrays = finder_arrays(finder_golden) if card.kind == "finder" else _keypoint_arrays(golden)
    cases = _zip({f"{name}.npy": _npy(array) for name, array in arrays.items()})
    text = msgspec.json.format(msgspec.json.encode(card), indent=1)
    return flatbuffer + _zip({CARD: text, GOLDEN: cases})


def _keypoint_arrays(golden: tuple[GoldenCase, ...]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {"count": np.array(len(golden))}
    for i, case in enumerate(golden):
        arrays |= {f"frame{i}": case.frame, f"box{i}": np.array(case.box), f"crop{i}": case.crop}
        arrays |= {f"keypoints{i}": case.raw_keypoints, f"score{i}": case.raw_score, f"points{i}": case.points}
    return arrays


def _npy(array: NDArray[Any]) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, array, allow_pickle=False)
    return buffer.getvalue()


def _zip(members: Mapping[str, bytes]) -> bytes:
    """A zip of `members` with a fixed date, so that the same content gives the same bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
