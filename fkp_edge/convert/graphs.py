"""SavedModels are programs: every operator of one is checked against those that only compute before it is loaded."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from fkp_edge.convert.backend import SavedModelProto
from fkp_edge.core.files import read_bounded
from fkp_edge.errors import InputError

__all__ = ["COMPUTE", "checked_saved_model"]

MAX_GRAPH_BYTES = 2**28
MAX_VARIABLES_BYTES = 2**31
COMPUTE = frozenset(
    # values, variables, shapes
    "Const Placeholder PlaceholderWithDefault Identity IdentityN NoOp StopGradient PreventGradient Cast Bitcast "
    "Shape ShapeN Size Rank Reshape Squeeze ExpandDims Pack Unpack Concat ConcatV2 Split SplitV Slice "
    "StridedSlice Gather GatherV2 GatherNd ScatterNd Tile Transpose Pad PadV2 MirrorPad Fill ZerosLike OnesLike "
    "Range BroadcastTo BroadcastArgs Reverse ReverseV2 OneHot Where Select SelectV2 InvertPermutation EnsureShape "
    "ConcatOffset SpaceToBatchND BatchToSpaceND SpaceToDepth DepthToSpace SpaceToBatch BatchToSpace VarHandleOp "
    "ReadVariableOp AssignVariableOp AssignAddVariableOp AssignSubVariableOp VarIsInitializedOp DisableCopyOnRead "
    "VariableShape ResourceGather "
    # calls and control flow within the file
    "PartitionedCall StatefulPartitionedCall If StatelessIf While StatelessWhile Case StatelessCase Switch Merge "
    "Enter Exit NextIteration LoopCond Assert "
    # arithmetic
    "Abs Add AddN AddV2 BiasAdd Ceil ClipByValue Div DivNoNan Erf Exp Expm1 Floor FloorDiv FloorMod Inv Log Log1p "
    "Maximum Minimum Mod Mul MulNoNan Neg Pow RealDiv Reciprocal Rint Round Rsqrt Sign Sin Cos Sqrt Square "
    "SquaredDifference Sub Tanh Tan Atan Atan2 TruncateDiv Equal NotEqual Greater GreaterEqual Less LessEqual "
    "LogicalAnd LogicalNot LogicalOr All Any ArgMax ArgMin Max Mean Min Prod Sum Cumsum TopKV2 IsFinite IsNan "
    "IsInf L2Loss MatMul BatchMatMul BatchMatMulV2 BatchMatMulV3 Einsum Conv1D Conv2D Conv2DBackpropInput Conv "
    "DepthwiseConv2dNative Dilation2D AvgPool MaxPool MaxPoolV2 LRN FusedBatchNorm FusedBatchNormV2 "
    "FusedBatchNormV3 BatchNormWithGlobalNormalization Relu Relu6 LeakyRelu Elu Selu Sigmoid Softmax LogSoftmax "
    "Softplus Softsign ResizeBilinear ResizeNearestNeighbor ResizeArea ResizeBicubic ScaleAndTranslate "
    "CropAndResize "
    # quantisation, as trained networks carry it
    "FakeQuantWithMinMaxArgs FakeQuantWithMinMaxVars FakeQuantWithMinMaxVarsPerChannel QuantizeAndDequantizeV2 "
    "QuantizeAndDequantizeV3 QuantizeAndDequantizeV4 Dequantize QuantizeV2 "
    # chance, in dropout that is off
    "RandomUniform RandomStandardNormal RandomUniformInt TruncatedNormal StatelessRandomUniformV2 "
    "StatelessRandomGetKeyCounter StatelessRandomGetAlg StatelessRandomNormalV2".split()
)
"""Operators that touch nothing outside the graph: no file, no network, no Python, no output."""
SAVER = frozenset("SaveV2 RestoreV2 MergeV2Checkpoints ShardedFilename StringJoin StaticRegexFullMatch".split())
"""What every SavedModel's own saver consists of, which loading it does not run."""


def checked_saved_model(path: Path, folder: Path) -> Path:
    """A copy of the SavedModel `path` in `folder`: its graph, all of whose operators only compute, and its variables.

    Raises:
        InputError: it is damaged, has other operators, or is too large.
    """
    content = read_bounded(path / "saved_model.pb", MAX_GRAPH_BYTES, "the graph of a SavedModel")
    try:
        saved = SavedModelProto.FromString(content)
    except Exception as error:  # DecodeError; its class depends on protobuf's backend
        raise InputError(f"{path} cannot be loaded as a SavedModel: {error}; export the model again") from error
    for graph in saved.meta_graphs:
        _check_graph(graph, path)
    copy = folder / "model"
    (copy / "variables").mkdir(parents=True)
    (copy / "saved_model.pb").write_bytes(content)
    left = MAX_VARIABLES_BYTES
    for file in sorted((path / "variables").glob("variables.*")):
        if not file.is_file() or (left := left - file.stat().st_size) < 0:
            raise InputError(f"{file} is no file, or over {MAX_VARIABLES_BYTES} bytes; expected variables")
        shutil.copyfile(file, copy / "variables" / file.name)
    return copy


def _check_graph(graph: Any, path: Path) -> None:
    if not graph.HasField("object_graph_def"):
        raise InputError(f"{path} is a SavedModel of TensorFlow 1; export the model again with TensorFlow 2")
    functions = {function.signature.name: function for function in graph.graph_def.library.function}
    savers = {graph.saver_def.save_tensor_name.split(":")[0], graph.saver_def.restore_op_name}
    main = [node for node in graph.graph_def.node if node.name not in savers]
    roots = {name for node in main for name in _called(node, functions)} | set(
        graph.object_graph_def.concrete_functions
    )
    run = _reached(roots, functions)
    _check_nodes(main, functions, COMPUTE, path)
    for name, function in functions.items():
        allowed = COMPUTE if name in run or "_traced_" not in name else COMPUTE | SAVER
        _check_nodes(function.node_def, functions, allowed, path)


def _check_nodes(nodes: Iterable[Any], functions: dict[str, Any], allowed: frozenset[str], path: Path) -> None:
    for node in nodes:
        if node.op not in allowed and node.op not in functions:
            raise InputError(
                f"{path} has the operator {node.op[:60]}, which is not one that only computes; export the model "
                "without it, or add --trust-model-code if you trust who made the file"
            )


def _called(node: Any, functions: dict[str, Any]) -> Iterator[str]:
    """Names of the functions that `node` may run."""
    if node.op in functions:
        yield node.op
    for value in node.attr.values():
        yield from (one.name for one in (value.func, *value.list.func) if one.name)


def _reached(names: set[str], functions: dict[str, Any]) -> set[str]:
    """`names` and all functions that run from them."""
    reached, waiting = set[str](), list(names)
    while waiting:
        name = waiting.pop()
        if name in reached or name not in functions:
            continue
        reached.add(name)
        waiting.extend(called for node in functions[name].node_def for called in _called(node, functions))
    return reached
