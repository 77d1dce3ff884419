"""Whether a flatbuffer is compatible with the Edge TPU on paper: operator by operator against the documented limits.

Limits: https://coral.ai/docs/edgetpu/models-intro/ (model requirements, supported operations, those of runtime 14) and
what edgetpu_compiler 16.0 is known to refuse. Only the compiler and a device can tell more.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from fkp_edge.errors import ModelFileError

__all__ = ["COMPILER", "PaperCheck", "Placement", "check_on_paper"]

COMPILER = "edgetpu_compiler 16.0"
NEWEST_VERSIONS = {"CONV_2D": 5, "QUANTIZE": 2, "TRANSPOSE_CONV": 3}
"""Operator versions beyond which the compiler refuses the whole file."""
SOFTMAX_MOST = 16_000

_TYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}


@dataclass(frozen=True)
class Placement:
    """One operator and where it would run."""

    index: int
    """Place in the order of execution, from 0."""
    name: str
    version: int
    reason: str
    """Why it would run on the CPU; empty where it would run on the Edge TPU."""


@dataclass(frozen=True)
class PaperCheck:
    """What the documented limits say of a flatbuffer."""

    operators: tuple[Placement, ...]
    refusals: tuple[str, ...]
    """Why the compiler would refuse the whole file; empty where nothing known is against it."""

    @property
    def compatible(self) -> bool:
        """Every operator would run on the Edge TPU, on paper."""
        return bool(self.operators) and not self.refusals and not any(op.reason for op in self.operators)

    def __str__(self) -> str:
        total = len(self.operators)
        if self.compatible:
            return f"compatible on paper: all {total} operators are within the documented limits of {COMPILER}"
        if self.refusals:
            return f"not compatible on paper: {COMPILER} refuses {self.refusals[0]}"
        first = next((op for op in self.operators if op.reason), None)
        if first is None:
            return "not compatible on paper: it has no operators"
        return (
            f"not compatible on paper: {first.name} (operator {first.index + 1} of {total}) {first.reason}; "
            f"it and the {total - first.index - 1} after it would run on the CPU"
        )


@dataclass(frozen=True)
class _Tensor:
    shape: tuple[int, ...]
    type: str
    constant: NDArray[np.uint8] | None
    """Its bytes."""
    dynamic: bool
    scaled: bool

    @property
    def inner(self) -> tuple[int, ...]:
        """Shape without leading ones."""
        return self.shape[next((i for i, size in enumerate(self.shape) if size != 1), len(self.shape)) :]

    def numbers(self) -> list[int] | None:
        """Values of a constant int32 tensor, else None."""
        if self.constant is None or self.type != "int32":
            return None
        return [int(value) for value in self.constant.view("<i4")]


@dataclass(frozen=True)
class _Operator:
    name: str
    inputs: list[_Tensor]
    outputs: list[_Tensor]
    options: Any = field(repr=False)


def check_on_paper(flatbuffer: bytes) -> PaperCheck:
    """Checks every operator of `flatbuffer`.

    Raises:
        ModelFileError: it cannot be read as a TFLite flatbuffer.
    """
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer))
        graph = model.subgraphs[0]
        tensors = [_tensor(tensor, model.buffers) for tensor in graph.tensors]
        codes = [model.operatorCodes[operator.opcodeIndex] for operator in graph.operators]
        operators = [
            _Operator(
                _name(code),
                [tensors[number] for number in operator.inputs if number >= 0],
                [tensors[number] for number in operator.outputs],
                operator.builtinOptions,
            )
            for operator, code in zip(graph.operators, codes, strict=True)
        ]
        return _judge(operators, [code.version for code in codes])
    except (struct.error, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ModelFileError(f"the flatbuffer cannot be read ({error}); convert the model again") from error


def _tensor(tensor: Any, buffers: list[Any]) -> _Tensor:
    shape = tuple(int(size) for size in tensor.shape) if tensor.shape is not None else ()
    signature = tensor.shapeSignature if tensor.shapeSignature is not None else ()
    scale = tensor.quantization.scale if tensor.quantization is not None else None
    return _Tensor(
        shape=shape,
        type=_TYPES.get(tensor.type, str(tensor.type)),
        constant=buffers[tensor.buffer].data,
        dynamic=min((*shape, *signature), default=1) < 1,
        scaled=scale is not None and len(scale) > 0,
    )


def _name(code: Any) -> str:
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    return (code.customCode or b"").decode() or _NAMES.get(builtin, str(builtin))


def _judge(operators: list[_Operator], versions: list[int]) -> PaperCheck:
    placements: list[Placement] = []
    refusals: list[str] = []
    first = ""
    for index, (operator, version) in enumerate(zip(operators, versions, strict=True)):
        reason = _obstacle(operator) or (f"comes after {first}, which runs there" if first else "")
        placements.append(Placement(index, operator.name, version, reason))
        first = first or (operator.name if reason else "")
        newest = NEWEST_VERSIONS.get(operator.name, version)
        refusal = f"{operator.name} version {version}, expected at most {newest}"
        if version > newest and refusal not in refusals:
            refusals.append(refusal)
    return PaperCheck(tuple(placements), tuple(refusals))


def _obstacle(operator: _Operator) -> str:
    """What the documentation has against one operator by itself."""
    limit = _LIMITS.get(operator.name)
    if limit is None:
        return "is not among the supported operations"
    for tensor in (*operator.inputs, *operator.outputs):
        if tensor.dynamic:
            return f"has a tensor of dynamic size {tensor.shape}, expected sizes fixed when it is compiled"
        parameter = tensor.constant is not None and tensor.type == "int32"  # biases, shapes, axes
        if not parameter and (tensor.type not in {"int8", "uint8"} or not tensor.scaled):
            quantised = "unquantised " if tensor.type in {"int8", "uint8"} else ""
            return f"works on {quantised}{tensor.type}, expected quantised int8 or uint8"
        if tensor.constant is None and prod(tensor.shape[:-3]) > 1:
            return f"has a tensor {tensor.shape}, expected sizes of 1 before the last three"
    return limit(operator)


def _free(_: _Operator) -> str:
    return ""


def _weighted(operator: _Operator) -> str:
    if any(tensor.constant is None for tensor in operator.inputs[1:]):
        return "has weights or a bias that are computed, expected constants"
    return ""


def _convolution(operator: _Operator) -> str:
    across, down = operator.options.dilationWFactor, operator.options.dilationHFactor
    if across != down:
        return f"is dilated by {across} across and {down} down, expected the same"
    return _weighted(operator)


def _dense(operator: _Operator) -> str:
    if operator.options.weightsFormat != schema.FullyConnectedOptionsWeightsFormat.DEFAULT:
        return "has weights in a shuffled format, expected the default one"
    if len(operator.outputs[0].inner) > 1:
        return f"gives {operator.outputs[0].shape}, expected one dimension"
    return _weighted(operator)


def _unfused(operator: _Operator) -> str:
    if operator.options.fusedActivationFunction != schema.ActivationFunctionType.NONE:
        return "has a fused activation, expected none"
    return ""


def _concatenation(operator: _Operator) -> str:
    constants = [tensor for tensor in operator.inputs if tensor.constant is not None]
    if constants and len(operator.inputs) > 2:
        return f"joins a constant with {len(operator.inputs) - 1} others, expected one other"
    return _unfused(operator)


def _reduction(operator: _Operator) -> str:
    axes = operator.inputs[1].numbers()
    shape = operator.inputs[0].shape
    if axes is None:
        return "reduces along computed axes, expected constants"
    if any(axis % len(shape) == 0 for axis in axes) and len(shape) > 1:
        return "reduces the batch dimension"
    depth = len(shape) - 1
    if operator.name == "MEAN" and shape[depth] % 4 and any(axis % len(shape) == depth for axis in axes):
        return f"averages {shape[depth]} channels, expected a multiple of 4"
    return ""


def _padding(operator: _Operator) -> str:
    amounts = operator.inputs[1].numbers()
    if amounts is None:
        return "pads by computed amounts, expected constants"
    if len(operator.inputs[0].shape) > 3 and any(amounts[:2]):
        return "pads the batch dimension"
    return ""


def _packing(operator: _Operator) -> str:
    return "packs in the batch dimension" if operator.options.axis == 0 else ""


def _splitting(operator: _Operator) -> str:
    axis = operator.inputs[0].numbers()
    return "splits the batch dimension, or along a computed axis" if axis in (None, [0]) else ""


def _softmax(operator: _Operator) -> str:
    inner = operator.inputs[0].inner
    if len(inner) > 1 or prod(inner) > SOFTMAX_MOST:
        return f"takes {operator.inputs[0].shape}, expected one dimension of at most {SOFTMAX_MOST}"
    return ""


def _slicing(operator: _Operator) -> str:
    if set(operator.inputs[3].numbers() or [0]) != {1} or operator.options.ellipsisMask or operator.options.newAxisMask:
        return "has strides other than 1, an ellipsis or a new axis"
    return ""


def _prelu(operator: _Operator) -> str:
    return "has a slope of several dimensions" if len(operator.inputs[1].inner) > 1 else _weighted(operator)


_LIMITS: dict[str, Callable[[_Operator], str]] = dict.fromkeys(
    (
        *("ADD", "EXPAND_DIMS", "L2_NORMALIZATION", "LOGISTIC", "MAXIMUM", "MINIMUM", "MUL", "QUANTIZE", "RELU"),
        *("RELU6", "RELU_N1_TO_1", "RESHAPE", "RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR", "RSQRT", "SLICE"),
        *("SPACE_TO_DEPTH", "SQUARED_DIFFERENCE", "SQUEEZE", "SUB", "TANH", "TRANSPOSE", "TRANSPOSE_CONV"),
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
    ),
    _free,
)
"""Supported operations and what is checked of each beyond types, sizes and versions."""
_LIMITS |= {"AVERAGE_POOL_2D": _unfused, "MAX_POOL_2D": _unfused, "CONCATENATION": _concatenation}
_LIMITS |= {"CONV_2D": _convolution, "DEPTHWISE_CONV_2D": _convolution, "FULLY_CONNECTED": _dense}
_LIMITS |= {"MEAN": _reduction, "SUM": _reduction, "REDUCE_MAX": _reduction, "REDUCE_MIN": _reduction}
_LIMITS |= {"PACK": _packing, "PAD": _padding, "PRELU": _prelu, "SPLIT": _splitting, "SOFTMAX": _softmax}
_LIMITS |= {"STRIDED_SLICE": _slicing}
