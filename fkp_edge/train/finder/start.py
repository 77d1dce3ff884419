"""Start weights of a finder: an earlier run's, or a TFLite file's as those of the network it was converted from."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkp_edge.errors import InputError
from fkp_edge.model.file import read_model_file
from fkp_edge.model.finder import FinderModel
from fkp_edge.model.finder_maps import INPUT_SIZE
from fkp_edge.model.interpreter import load_interpreter
from fkp_edge.model.runtimes import find_runtime
from fkp_edge.train.backend import keras
from fkp_edge.train.containers import open_keras

__all__ = ["carry_finder"]

Floats = NDArray[np.float32]
NAME = re.compile(r"(?:^|[/;])(\w+)/(?:Conv2D|depthwise)")


def carry_finder(path: Path, model: keras.Model, pixels: Floats, *, trust_code: bool = False) -> None:
    """Sets `model` to what the finder in `path` computes: model.keras of a run, or a model file, int8 or float.

    Conversion folds batch normalisation into the convolutions. Here it comes apart again: the normalisations get the
    means and variances that `pixels` give, and undo them, so that the network goes on where it was.

    Args:
        path: of the finder.
        model: as `build_finder` makes it.
        pixels: (N, H, W, 1) frames, grey levels 0 to 255, with sides that are multiples of 32.
        trust_code: see `open_keras`.

    Raises:
        InputError: the file is another network's, missing or damaged.
        ModelFileError: it is a model file, but of no finder.
    """
    if path.suffix != ".tflite":
        found = open_keras(path, trust_code=trust_code, size=INPUT_SIZE)
        if [w.shape for w in found.get_weights()] != [w.shape for w in model.get_weights()]:
            raise InputError(f"{path} has other layers than this recipe's network; expected the same blocks")
        model.set_weights(found.get_weights())
        return
    folded = _convolutions(path)
    layers = {layer.name: layer for layer in model.layers}
    kinds = (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
    shapes = {name: layer.get_weights()[0].shape for name, layer in layers.items() if isinstance(layer, kinds)}
    if shapes != {name: kernel.shape for name, (kernel, _) in folded.items()}:
        raise InputError(f"{path} has other layers than this recipe's network; expected the same blocks")
    for name, (kernel, bias) in folded.items():
        normalised = f"{name}_bn" in layers
        layers[name].set_weights([kernel] if normalised else [kernel, bias])
        if normalised:
            norm = layers[f"{name}_bn"]
            norm.set_weights([np.full_like(bias, (1 + norm.epsilon) ** 0.5), bias, 0 * bias, 0 * bias + 1])
    normed = [name for name in folded if f"{name}_bn" in layers]
    before = keras.Model(model.inputs, [layers[name].output for name in normed])
    for name, out in zip(normed, before.predict(pixels, batch_size=16, verbose=0), strict=True):
        mean, variance = out.mean((0, 1, 2)), out.var((0, 1, 2))
        norm, bias = layers[f"{name}_bn"], folded[name][1]
        norm.set_weights([np.sqrt(variance + norm.epsilon), bias + mean, mean, variance])


def _convolutions(path: Path) -> dict[str, tuple[Floats, Floats]]:
    """Layer -> its kernel, as Keras has it for grey levels divided by 255, and its bias."""
    interpreter = load_interpreter(FinderModel(read_model_file(path)).file, find_runtime(), 1)
    details: dict[int, dict[str, Any]] = {d["index"]: d for d in interpreter.get_tensor_details()}

    def values(index: int) -> Floats:
        raw, coding = interpreter.get_tensor(index), details[index]["quantization_parameters"]
        shape = [1] * raw.ndim
        shape[coding["quantized_dimension"]] = -1
        return np.asarray(raw * coding["scales"].reshape(shape) if len(coding["scales"]) else raw, np.float32)

    found = {}
    for step in interpreter._get_ops_details():
        if step["op_name"] in ("CONV_2D", "DEPTHWISE_CONV_2D"):
            _, kernel, bias = (int(i) for i in step["inputs"])
            name = NAME.findall(details[kernel]["name"])[-1]
            order = (1, 2, 3, 0)  # from (out, height, width, in), of depthwise ones (1, height, width, in)
            found[name] = (values(kernel).transpose(order), values(bias))
    first = next(iter(found))
    found[first] = (found[first][0] * 255, found[first][1])
    return found
