"""Two networks as one: one knows the points that nearly every row has, the other the rest, from complete rows."""

from __future__ import annotations

import numpy as np

from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.train.backend import keras

__all__ = ["merge"]

layers = keras.layers


def merge(common: keras.Model, every: keras.Model, points: tuple[int, ...]) -> keras.Model:
    """A network that gives `points` as `common` does and all others as `every` does.

    Both run side by side up to their last layer; those two layers become one, whose weights for a point are zero where
    the other network speaks of it. So it converts and quantises like any other network.
    """
    pixels = layers.Input((CROP_SIZE, CROP_SIZE, 1), name="pixels")
    trunks = [
        keras.Model(model.input, layers.Flatten()(model.get_layer("offsets").input), name=name)
        for name, model in (("common", common), ("every", every))
    ]
    joined = layers.Concatenate(name="join")([trunk(pixels) for trunk in trunks])
    (kernel_a, bias_a), (kernel_b, bias_b) = (_last_weights(model) for model in (common, every))
    outputs = len(bias_b)
    mine = [2 * point + axis for point in points for axis in (0, 1)]
    kernel = np.zeros((len(kernel_a) + len(kernel_b), outputs), np.float32)
    kernel[: len(kernel_a), mine] = kernel_a
    kernel[len(kernel_a) :] = kernel_b
    kernel[len(kernel_a) :, mine] = 0
    bias = bias_b.copy()
    bias[mine] = bias_a
    last = layers.Dense(outputs, name="offsets")
    merged = keras.Model(pixels, {"keypoints": last(joined)}, name="specialists")
    last.set_weights([kernel, bias])
    return merged


def _last_weights(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (C, 2P) and bias (2P,) of the last layer, a Dense or a 1x1 convolution."""
    kernel, bias = model.get_layer("offsets").get_weights()
    return kernel.reshape(-1, len(bias)), bias
