"""The float network that a conversion starts from: trained here, or somebody's own tf-keras model or SavedModel."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkp_edge.convert.backend import SavedModelProto
from fkp_edge.convert.recipe import Foreign
from fkp_edge.core.files import read_bounded
from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.keypoints import SCHEMAS, Schema, schema_named
from fkp_edge.errors import InputError
from fkp_edge.train.backend import keras, tf
from fkp_edge.train.containers import open_keras
from fkp_edge.train.saved import load_trained

__all__ = ["COMPUTE", "Network", "checked_saved_model", "load_network"]

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


layers = keras.layers
PIXELS = {"0..255": (1.0, 0.0), "0..1": (1 / 255, 0.0), "-1..1": (1 / 127.5, -1.0)}
"""Foreign.pixels -> scale and shift of raw grey levels."""
UNITS = {"units": (1.0, 0.0), "pixels": (1 / CROP_SIZE, 0.5 / CROP_SIZE), "centred": (0.5, 48.5 / CROP_SIZE)}
"""Foreign.points -> scale and shift that make crop units of them."""


@dataclass(frozen=True, eq=False)
class Network:
    """A float network: raw grey pixels (N, 96, 96, 1) in, `keypoints` (N, 2K) and maybe `score` (N, 1) out."""

    path: Path
    described: dict[str, Any]
    """As model.json: schema, mean_shape that the keypoints are offsets from, recipe, parameters, has_score."""
    model: keras.Model | None
    """None for a SavedModel."""
    saved: Any = None
    """A tf.Module whose method `serve` takes (1, 96, 96, 1) and gives the outputs by name, for a SavedModel."""

    @property
    def schema(self) -> Schema:
        """Which points it gives."""
        return schema_named(self.described["schema"])

    def with_model(self, model: keras.Model) -> Network:
        """The same network after its layers changed."""
        return replace(self, model=model, described=self.described | {"parameters": int(model.count_params())})


def load_network(path: Path, foreign: Foreign, *, trust_code: bool = False) -> Network:
    """The network at `path`: model.keras of a training run, any tf-keras .keras or .h5, or a SavedModel's folder.

    Args:
        path: the file or folder.
        foreign: what a network that was not trained here takes and gives.
        trust_code: takes also a file that carries code, which runs then: Lambda layers, functions, own classes, a
            SavedModel with operators beyond `graphs.COMPUTE`.

    Raises:
        InputError: it is missing, damaged, carries code, has layers that tf-keras does not know, weights that are not
            finite, or other inputs and outputs than 96x96 grey pictures and the coordinates of a known schema.
    """
    if path.is_dir():
        return _load_saved_model(path, foreign, trust_code)
    if path.suffix not in {".keras", ".h5"}:
        raise InputError(f"{path}: expected a .keras or .h5 file of tf-keras, or the folder of a SavedModel")
    if path.suffix == ".keras" and path.with_suffix(".json").exists():
        model, described = load_trained(path, trust_code=trust_code)
        return Network(path, described, model)
    if not path.is_file():
        raise InputError(f"{path} does not exist; expected a .keras or .h5 file, or the folder of a SavedModel")
    return _adapted(path, open_keras(path, trust_code=trust_code), foreign)


def _adapted(path: Path, model: keras.Model, foreign: Foreign) -> Network:
    """`model` with raw pixels in and named outputs in crop units; its layers stay layers of one network."""
    pixels = layers.Input((CROP_SIZE, CROP_SIZE, 1), name="fkp_edge_pixels")
    scale, shift = PIXELS[foreign.pixels]
    x = pixels if foreign.pixels == "0..255" else layers.Rescaling(scale, shift, name="fkp_edge_scale")(pixels)
    # `call`, not `model(x)`: the layers then stand side by side with the new ones instead of in a network of their own
    outputs = tf.nest.flatten(model.call(x))
    found = _sort_outputs(path, {i: int(np.prod(t.shape[1:])) for i, t in enumerate(outputs)})
    points, score = outputs[found["keypoints"]], outputs[found["score"]] if "score" in found else None
    schema = schema_of_size(int(np.prod(points.shape[1:])))
    to_units = UNITS.get(foreign.points)
    mean = schema.mean_shape
    if to_units:
        points = layers.Rescaling(to_units[0], name="fkp_edge_units")(points)
        mean = np.full_like(mean, to_units[1])
    named = {"keypoints": layers.Reshape((2 * schema.size,), name="fkp_edge_keypoints")(points)}
    if score is not None:
        named["score"] = layers.Reshape((1,), name="fkp_edge_score")(score)
    joined = keras.Model(pixels, named, name=model.name)
    clean = keras.models.clone_model(joined)  # the layers still belong to `model` too
    clean.set_weights(joined.get_weights())
    described = _described(path, schema, mean, int(clean.count_params()), "score" in named, foreign)
    return Network(path, described, clean)


def schema_of_size(coordinates: int) -> Schema:
    """The schema with so many coordinates."""
    return next(schema for schema in SCHEMAS.values() if 2 * schema.size == coordinates)


def _sort_outputs(path: Path, sizes: dict[Any, int]) -> dict[str, Any]:
    """`keypoints` and `score` -> key of the output that is it, by size."""
    known = [2 * schema.size for schema in SCHEMAS.values()]
    points = [key for key, size in sizes.items() if size in known]
    scores = [key for key, size in sizes.items() if size == 1]
    if len(points) != 1 or len(scores) > 1 or len(points) + len(scores) != len(sizes):
        wanted = " or ".join(map(str, known))
        raise InputError(
            f"{path} gives outputs of {sorted(sizes.values())} values, expected {wanted} coordinates, at most one score"
        )
    return {"keypoints": points[0]} | ({"score": scores[0]} if scores else {})


def _described(
    path: Path, schema: Schema, mean: NDArray[np.floating], parameters: int, has_score: bool, foreign: Foreign
) -> dict[str, Any]:
    recipe = {"kind": "foreign", "name": path.stem, "data": {"note": foreign.licence}}
    return {
        "recipe": recipe,
        "schema": schema.name,
        "mean_shape": mean.tolist(),
        "parameters": parameters,
        "has_score": has_score,
    }


def _load_saved_model(path: Path, foreign: Foreign, trust_code: bool) -> Network:
    if not (path / "saved_model.pb").is_file():
        raise InputError(f"{path} has no saved_model.pb; expected a SavedModel's folder, or a .keras or .h5 file")
    with TemporaryDirectory(prefix="fkp-edge-model-") as folder:
        copy = path if trust_code else checked_saved_model(path, Path(folder))
        try:
            loaded = tf.saved_model.load(str(copy))
            signature = loaded.signatures["serving_default"]
        except Exception as error:  # whatever a damaged graph raises
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            raise InputError(f"{path} cannot be loaded as a SavedModel: {reason}; export the model again") from error
    inputs = signature.structured_input_signature[1]
    shapes = [tuple(spec.shape[1:]) for spec in inputs.values()]
    if shapes != [(CROP_SIZE, CROP_SIZE, 1)]:
        raise InputError(f"{path} takes {shapes}, expected one input ({CROP_SIZE}, {CROP_SIZE}, 1)")
    sizes = {name: int(np.prod(spec.shape[1:])) for name, spec in signature.structured_outputs.items()}
    found = _sort_outputs(path, sizes)
    schema = schema_of_size(sizes[found["keypoints"]])
    scale, shift = PIXELS[foreign.pixels]
    to_units = UNITS.get(foreign.points, (1.0, 0.0))
    mean = np.full_like(schema.mean_shape, to_units[1]) if foreign.points in UNITS else schema.mean_shape
    (name,) = inputs

    class Served(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec((1, CROP_SIZE, CROP_SIZE, 1), tf.float32, name="pixels")])  # type: ignore[untyped-decorator]
        def serve(self, pixels: tf.Tensor) -> dict[str, tf.Tensor]:
            out = self.signature(**{name: pixels * scale + shift})
            points = tf.reshape(out[found["keypoints"]] * to_units[0], (1, 2 * schema.size))
            named = {"keypoints": points}
            return named | ({"score": tf.reshape(out[found["score"]], (1, 1))} if "score" in found else {})

    module = Served()
    module.loaded, module.signature = loaded, signature
    variables = {id(v): v for v in getattr(loaded, "variables", [])} | {id(v): v for v in signature.variables}
    if any(not np.isfinite(v.numpy()).all() for v in variables.values() if v.dtype.is_floating):
        raise InputError(f"{path} has weights that are not finite; train it again with a lower learning rate")
    parameters = sum(int(np.prod(v.shape)) for v in variables.values())
    return Network(path, _described(path, schema, mean, parameters, "score" in found, foreign), None, module)
