"""The float twin of a model file: its network in tf-keras again, with every weight, ready to be trained further."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.keypoints import schema_named
from fkp_edge.core.settings import parse_settings
from fkp_edge.errors import InputError, ModelFileError
from fkp_edge.model.file import ModelFile, read_model_file
from fkp_edge.train.backend import keras
from fkp_edge.train.inputs import described_by_card
from fkp_edge.train.networks import build_keypointnet
from fkp_edge.train.recipe import Network

__all__ = ["float_twin", "settle_norms"]

layers = keras.layers
Floats = NDArray[np.float32]
MAX_DIFFERENCE = 1e-3
"""Crop units, a tenth of a pixel: what rounding leaves is a thousand times less, a wrong weight is far more."""
MIN_NORM = 1e-6
"""Kernels of smaller norm pass on nothing and keep their size."""


def float_twin(path: Path) -> tuple[keras.Model, dict[str, Any]]:
    """The network of the float model file at `path`, and what model.json would say of it.

    A converter folds each batch norm into the convolution before it. The twin's convolutions have the folded weights
    and its norms the biases, so that its outputs are the file's; `settle_norms` finds the norms' statistics.

    Raises:
        ModelFileError: the file is missing or damaged.
        InputError: its weights are not float32, or its card tells no network that these weights fit.

    Example:
        >>> from fkp_edge.model.shipped import shipped_model
        >>> model, described = float_twin(shipped_model("keypoints-float32"))
        >>> described["schema"], model.count_params() == described["parameters"]
        ('fkp15', True)
    """
    file = read_model_file(path)
    described = described_by_card(file)
    config = parse_settings(described["recipe"]["network"], Network, f"{path}: the recipe in its card")
    model = build_keypointnet(config, schema_named(described["schema"]).size)
    free = [layer for layer in model.layers if isinstance(layer, layers.Conv2D | layers.DepthwiseConv2D)]
    for kernel, bias in _convolutions(file):
        place = next((layer for layer in free if layer.get_weights()[0].shape == kernel.shape), None)
        if place is None:
            raise InputError(f"{path}: no layer of its card's network is left for weights {kernel.shape}")
        free.remove(place)
        _fill(model, place, kernel, bias)
    if free:
        raise InputError(f"{path} has no weights for {free[0].name} of its card's network")
    _check_golden(model, file)
    return model, described


def _fill(model: keras.Model, place: keras.layers.Layer, kernel: Floats, bias: Floats) -> None:
    """Gives `place` the `kernel`, and the bias to itself or to the norm that follows it."""
    if place.use_bias:
        place.set_weights([kernel, bias])
        return
    if place.name == "stem":
        kernel = kernel / np.float32(model.get_layer("normalise").scale)  # folded into the first weights, too
    norm = model.get_layer(f"{place.name}_bn")
    place.set_weights([kernel])
    ones = np.ones_like(bias)
    norm.set_weights([ones, bias, 0 * ones, ones - np.float32(norm.epsilon)])


def _convolutions(file: ModelFile) -> list[tuple[Floats, Floats]]:
    """Kernel (H, W, in, out), or (H, W, channels, 1) where depthwise, and bias of each convolution as they run."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.BuiltinOperator
    found = []
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(file.flatbuffer))
        graph = model.subgraphs[0]
        for operator in graph.operators:
            code = model.operatorCodes[operator.opcodeIndex]
            kind = max(code.builtinCode, code.deprecatedBuiltinCode)
            if kind in (kinds.CONV_2D, kinds.DEPTHWISE_CONV_2D):
                kernel, bias = (_weights(model, graph.tensors[index], file) for index in operator.inputs[1:3])
                found.append((kernel.transpose(1, 2, 3, 0), bias))
    except (struct.error, IndexError, TypeError, ValueError, AttributeError) as error:  # flatbuffers, on damage
        if isinstance(error, InputError):
            raise
        raise ModelFileError(f"{file.path}: its weights cannot be read ({error}); copy the file again") from error
    return found


def _weights(model: Any, tensor: Any, file: ModelFile) -> Floats:
    from ai_edge_litert.schema_py_generated import TensorType

    if tensor.type != TensorType.FLOAT32:
        raise InputError(
            f"{file.path} has weights that are not float32; start from the float file, such as keypoints-float32"
        )
    content = model.buffers[tensor.buffer].data
    return np.frombuffer(np.asarray(content, np.uint8).tobytes(), np.float32).reshape(tensor.shape)


def _check_golden(model: keras.Model, file: ModelFile) -> None:
    """Refuses a twin that does not give what the file gave when it was made."""
    crops = np.stack([case.crop for case in file.golden]).astype(np.float32)[..., None]
    expected = np.stack([case.raw_keypoints for case in file.golden])
    difference = float(np.abs(model(crops)["keypoints"].numpy() - expected).max())
    if not difference < MAX_DIFFERENCE:
        raise InputError(
            f"{file.path}: the network of its card gives other points than its golden cases (by {difference:.4f} crop "
            f"units, expected less than {MAX_DIFFERENCE}); name a file that convert wrote"
        )


def settle_norms(model: keras.Model, pixels: Floats) -> None:
    """Gives each batch norm of `model` the statistics of `pixels` (N, 96, 96, 1), and changes no output.

    In training a norm takes its batch's statistics: only where those that it keeps are alike does the network go on
    from what it computes in use. Each kernel before a norm is brought to norm 1 by output channel, which the norm
    undoes, so that a step changes every channel by about the same share.
    """
    norms = [layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    convs = [model.get_layer(norm.name.removesuffix("_bn")) for norm in norms]
    outputs = keras.Model(model.input, [conv.output for conv in convs])(pixels)
    for norm, conv, output in zip(norms, convs, outputs, strict=True):
        gamma, beta, mean, variance = norm.get_weights()
        slope = gamma / np.sqrt(variance + norm.epsilon)
        shift = beta - slope * mean
        kernel = conv.get_weights()[0]
        size = np.sqrt((kernel**2).sum((0, 1) if kernel.shape[3] == 1 else (0, 1, 2))).ravel()
        size = np.where(size < MIN_NORM, 1, size).astype(np.float32)
        conv.set_weights([kernel / (size[:, None] if kernel.shape[3] == 1 else size)])
        slope *= size
        seen = output.numpy() / size
        mean, variance = seen.mean(axis=(0, 1, 2)), seen.var(axis=(0, 1, 2))
        norm.set_weights([slope * np.sqrt(variance + norm.epsilon), shift + slope * mean, mean, variance])
