"""Flatbuffers, shipped and built by hand, against the documented limits of the Edge TPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from fkp_edge.convert.edgetpu_check import NEWEST_VERSIONS, check_on_paper
from fkp_edge.errors import ModelFileError
from fkp_edge.model.file import read_model_file
from fkp_edge.model.shipped import shipped_model

PICTURE = {"shape": (1, 8, 8, 4)}
FLOATS = {"shape": (1, 8, 8, 4), "type": "FLOAT32", "scale": None}
WEIGHTS = {"shape": (4, 3, 3, 4), "data": np.zeros(144, np.int8)}
BIAS = {"shape": (4,), "type": "INT32", "data": np.zeros(4, np.int32)}


def numbers(*values: int) -> dict[str, Any]:
    """A constant int32 tensor: axes, amounts, a shape."""
    return {"shape": (len(values),), "type": "INT32", "scale": None, "data": np.array(values, np.int32)}


@pytest.fixture
def reason_for(make_tflite) -> Callable[..., str]:
    """Why one operator would run on the CPU, empty where it would not; the last of `tensors` is its output."""

    def check(name: str, *tensors: dict[str, Any], **options: Any) -> str:
        last = len(tensors) - 1
        operator = {"name": name, "inputs": list(range(last)), "outputs": [last], "options": options or None}
        (placement,) = check_on_paper(make_tflite([*tensors], [operator], [last])).operators
        return placement.reason

    return check


@pytest.fixture
def chain(make_tflite) -> Callable[..., bytes]:
    """Operators of one input and one output, one after the other, as (name, version)."""

    def build(*operators: tuple[str, int]) -> bytes:
        made = [
            {"name": name, "version": version, "inputs": [i], "outputs": [i + 1]}
            for i, (name, version) in enumerate(operators)
        ]
        return make_tflite([PICTURE] * (len(operators) + 1), made, [len(operators)])

    return build


# whole files


@pytest.mark.parametrize("name", ["keypoints-int8", "keypoints68-int8"])
def test_the_shipped_int8_files_are_compatible_on_paper(name: str):
    check = check_on_paper(read_model_file(shipped_model(name)).flatbuffer)
    assert check.compatible
    total = len(check.operators)
    assert str(check) == (
        f"compatible on paper: all {total} operators are within the documented limits of edgetpu_compiler 16.0"
    )


def test_a_float_file_is_not():
    check = check_on_paper(read_model_file(shipped_model("keypoints-float32")).flatbuffer)
    assert not check.compatible
    assert str(check) == (
        f"not compatible on paper: CONV_2D (operator 1 of {len(check.operators)}) works on float32, expected quantised "
        f"int8 or uint8; it and the {len(check.operators) - 1} after it would run on the CPU"
    )


def test_all_after_the_first_operator_on_the_cpu_run_there_too(chain):
    check = check_on_paper(chain(("RELU", 1), ("CUMSUM", 1), ("ADD", 1), ("SIN", 1)))
    assert [op.reason for op in check.operators] == [
        "",
        "is not among the supported operations",
        "comes after CUMSUM, which runs there",
        "is not among the supported operations",
    ]
    assert str(check).endswith(
        "CUMSUM (operator 2 of 4) is not among the supported operations; it and the 2 after it would run on the CPU"
    )


def test_a_newer_version_makes_the_compiler_refuse_the_whole_file(chain):
    check = check_on_paper(chain(("RELU", 1), ("QUANTIZE", 3), ("QUANTIZE", 3)))
    assert check.refusals == ("QUANTIZE version 3, expected at most 2",)
    assert str(check) == (
        "not compatible on paper: edgetpu_compiler 16.0 refuses QUANTIZE version 3, expected at most 2"
    )


@pytest.mark.parametrize(("name", "version"), [("CONV_2D", 6), ("QUANTIZE", 3), ("TRANSPOSE_CONV", 4)])
def test_the_versions_that_are_known_to_be_refused(name: str, version: int):
    assert NEWEST_VERSIONS[name] == version - 1


def test_a_version_that_nothing_is_known_of(chain):
    assert check_on_paper(chain(("RELU", 9), ("QUANTIZE", 2))).compatible


def test_a_compiled_file_is_not_compiled_again(compiled_tflite: bytes):
    (placement,) = check_on_paper(compiled_tflite).operators
    assert (placement.name, placement.reason) == ("edgetpu-custom-op", "is not among the supported operations")


def test_a_file_without_operators(make_tflite):
    check = check_on_paper(make_tflite([PICTURE], [], [0]))
    assert not check.compatible
    assert str(check) == "not compatible on paper: it has no operators"


@pytest.mark.parametrize("content", [b"", b"\x1c\0\0\0TFL3", b"\x1c\0\0\0TFL3" + bytes(range(200))])
def test_a_file_that_cannot_be_read(content: bytes):
    with pytest.raises(ModelFileError, match=r"^the flatbuffer cannot be read \(.*\); convert the model again$"):
        check_on_paper(content)


def test_a_cut_file():
    with pytest.raises(ModelFileError, match="the flatbuffer cannot be read"):
        check_on_paper(read_model_file(shipped_model()).flatbuffer[:5000])


# types and sizes


@pytest.mark.parametrize("kind", ["FLOAT32", "INT16", "INT32", "BOOL"])
def test_other_types(reason_for, kind: str):
    assert reason_for("RELU", PICTURE | {"type": kind}, PICTURE) == (
        f"works on {kind.lower()}, expected quantised int8 or uint8"
    )


def test_bytes_without_a_scale(reason_for):
    assert reason_for("RELU", PICTURE, PICTURE | {"scale": None}) == (
        "works on unquantised int8, expected quantised int8 or uint8"
    )


def test_a_size_that_may_change(reason_for):
    open_ended = PICTURE | {"signature": (-1, 8, 8, 4)}
    assert reason_for("RELU", open_ended, open_ended) == (
        "has a tensor of dynamic size (1, 8, 8, 4), expected sizes fixed when it is compiled"
    )


def test_a_batch(reason_for):
    batch = {"shape": (2, 8, 8, 4)}
    assert reason_for("RELU", batch, batch) == ("has a tensor (2, 8, 8, 4), expected sizes of 1 before the last three")


# operators


def test_a_convolution(reason_for):
    same = {"kind": "Conv2D", "dilationWFactor": 2, "dilationHFactor": 2}
    assert reason_for("CONV_2D", PICTURE, WEIGHTS, BIAS, PICTURE, **same) == ""


def test_a_convolution_dilated_differently(reason_for):
    given = {"kind": "Conv2D", "dilationWFactor": 2, "dilationHFactor": 1}
    assert reason_for("CONV_2D", PICTURE, WEIGHTS, BIAS, PICTURE, **given) == (
        "is dilated by 2 across and 1 down, expected the same"
    )


def test_computed_weights(reason_for):
    computed = {"shape": (1, 3, 3, 4)}
    reason = reason_for("DEPTHWISE_CONV_2D", PICTURE, computed, BIAS, PICTURE, kind="DepthwiseConv2D")
    assert reason == "has weights or a bias that are computed, expected constants"


VECTOR = {"shape": (1, 4)}
SQUARE = {"shape": (4, 4), "data": np.zeros(16, np.int8)}


@pytest.mark.parametrize(
    ("output", "options", "reason"),
    [
        (VECTOR, {}, ""),
        ({"shape": (3, 4)}, {}, "gives (3, 4), expected one dimension"),
        (VECTOR, {"weightsFormat": 1}, "has weights in a shuffled format, expected the default one"),
    ],
)
def test_a_dense_layer(reason_for, output, options, reason: str):
    assert reason_for("FULLY_CONNECTED", VECTOR, SQUARE, BIAS, output, kind="FullyConnected", **options) == reason


@pytest.mark.parametrize(("activation", "reason"), [(0, ""), (1, "has a fused activation, expected none")])
@pytest.mark.parametrize("name", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
def test_pooling(reason_for, name: str, activation: int, reason: str):
    assert reason_for(name, PICTURE, PICTURE, kind="Pool2D", fusedActivationFunction=activation) == reason


CONSTANT = PICTURE | {"data": np.zeros(256, np.int8)}


@pytest.mark.parametrize(
    ("inputs", "reason"),
    [
        ([PICTURE] * 3, ""),
        ([PICTURE, CONSTANT], ""),
        ([PICTURE, PICTURE, CONSTANT], "joins a constant with 2 others, expected one other"),
    ],
)
def test_a_concatenation(reason_for, inputs, reason: str):
    assert reason_for("CONCATENATION", *inputs, PICTURE, kind="Concatenation") == reason


ODD = {"shape": (1, 8, 8, 3)}


@pytest.mark.parametrize(
    ("name", "picture", "axes", "reason"),
    [
        ("MEAN", PICTURE, numbers(1, 2), ""),
        ("MEAN", ODD, numbers(1, 2), ""),
        ("MEAN", PICTURE, numbers(3), ""),
        ("MEAN", ODD, numbers(-1), "averages 3 channels, expected a multiple of 4"),
        ("SUM", ODD, numbers(3), ""),
        ("MEAN", PICTURE, numbers(0), "reduces the batch dimension"),
        ("REDUCE_MAX", PICTURE, numbers(-4), "reduces the batch dimension"),
        ("MEAN", PICTURE, VECTOR, "reduces along computed axes, expected constants"),
    ],
)
def test_reductions(reason_for, name: str, picture, axes, reason: str):
    assert reason_for(name, picture, axes, VECTOR) == reason


@pytest.mark.parametrize(
    ("amounts", "reason"),
    [
        (numbers(0, 0, 1, 1, 1, 1, 0, 0), ""),
        (numbers(1, 0, 0, 0, 0, 0, 0, 0), "pads the batch dimension"),
        (VECTOR, "pads by computed amounts, expected constants"),
    ],
)
def test_padding(reason_for, amounts, reason: str):
    assert reason_for("PAD", PICTURE, amounts, PICTURE) == reason


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((1, 16_000), ""),
        ((1, 16_001), "takes (1, 16001), expected one dimension of at most 16000"),
        ((2, 8), "takes (2, 8), expected one dimension of at most 16000"),
    ],
)
def test_softmax(reason_for, shape, reason: str):
    assert reason_for("SOFTMAX", {"shape": shape}, {"shape": shape}) == reason


@pytest.mark.parametrize(
    ("strides", "options", "reason"),
    [
        ((1, 1), {}, ""),
        ((1, 2), {}, "has strides other than 1, an ellipsis or a new axis"),
        ((1, 1), {"newAxisMask": 1}, "has strides other than 1, an ellipsis or a new axis"),
    ],
)
def test_slices(reason_for, strides, options, reason: str):
    given = [VECTOR, numbers(0, 0), numbers(1, 2), numbers(*strides), VECTOR]
    assert reason_for("STRIDED_SLICE", *given, kind="StridedSlice", **options) == reason


@pytest.mark.parametrize(("axis", "reason"), [(1, ""), (0, "packs in the batch dimension")])
def test_packing(reason_for, axis: int, reason: str):
    assert reason_for("PACK", VECTOR, VECTOR, PICTURE, kind="Pack", axis=axis) == reason


@pytest.mark.parametrize(("axis", "reason"), [(3, ""), (0, "splits the batch dimension, or along a computed axis")])
def test_splitting(reason_for, axis: int, reason: str):
    assert reason_for("SPLIT", numbers(axis), PICTURE, PICTURE, kind="Split") == reason


@pytest.mark.parametrize(("shape", "reason"), [((1, 1, 4), ""), ((8, 8, 4), "has a slope of several dimensions")])
def test_a_learnt_slope(reason_for, shape, reason: str):
    slope = {"shape": shape, "data": np.zeros(np.prod(shape), np.int8)}
    assert reason_for("PRELU", PICTURE, slope, PICTURE) == reason
