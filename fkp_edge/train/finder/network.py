"""The finder: raw grey pixels (N, 128, 160, 1) as floats in; heat logits and shapes at strides 8 and 16 out."""

from __future__ import annotations

from fkp_edge.model.finder_maps import INPUT_SIZE, SHAPE_CHANNELS
from fkp_edge.train.backend import keras
from fkp_edge.train.finder.recipe import FinderNetwork
from fkp_edge.train.networks import inverted_residual

__all__ = ["OUTPUTS", "build_finder"]

layers = keras.layers

OUTPUTS = ("fine_heat", "fine_shape", "coarse_heat", "coarse_shape")
RARE = -3.5
"""Bias of the heat: at the start nearly no cell is a face's middle (RetinaNet, Lin et al., ICCV 2017)."""


def build_finder(config: FinderNetwork, *, batch: int | None = None) -> keras.Model:
    """Inverted-residual blocks with a feature pyramid's way back (Lin et al., CVPR 2017). All convolutions.

    `batch` fixes the batch size, as TFLite wants it.
    """
    height, width = (INPUT_SIZE[1], INPUT_SIZE[0]) if batch else (None, None)
    pixels = layers.Input((height, width, 1), batch_size=batch, name="pixels")
    x = layers.Rescaling(1 / 255, name="normalise")(pixels)
    for index, channels in enumerate(config.stem):
        x = layers.Conv2D(channels, 3, 2, padding="same", use_bias=False, name=f"stem{index}")(x)
        x = layers.BatchNormalization(momentum=0.99, name=f"stem{index}_bn")(x)
        x = layers.ReLU(6.0, name=f"stem{index}_relu")(x)
    fine = _blocks(x, config.fine, "fine")
    coarse = _blocks(fine, config.coarse, "coarse")
    whole = _blocks(coarse, config.whole, "whole")
    coarse = _joined(coarse, whole, config.joined, "coarse")
    fine = _joined(fine, coarse, config.joined, "fine")
    fine_heat, fine_shape = _heads(fine, "fine")
    coarse_heat, coarse_shape = _heads(coarse, "coarse")
    return keras.Model(pixels, [fine_heat, fine_shape, coarse_heat, coarse_shape], name="finder")


def _blocks(x: keras.KerasTensor, blocks: tuple[tuple[int, int, int], ...], name: str) -> keras.KerasTensor:
    for index, (channels, stride, expansion) in enumerate(blocks):
        x = inverted_residual(x, channels, stride, expansion, f"{name}{index}")
    return x


def _joined(near: keras.KerasTensor, far: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    """What is seen here and what is seen of more around, at half the size, as one map."""
    here = _plain(near, channels, f"{name}_here")
    around = _plain(far, channels, f"{name}_around")
    around = layers.UpSampling2D(2, interpolation="nearest", name=f"{name}_enlarged")(around)
    x = layers.Add(name=f"{name}_joined")([here, around])
    x = layers.DepthwiseConv2D(3, padding="same", use_bias=False, name=f"{name}_join_depthwise")(x)
    x = layers.BatchNormalization(momentum=0.99, name=f"{name}_join_depthwise_bn")(x)
    x = layers.ReLU(6.0, name=f"{name}_join_depthwise_relu")(x)
    x = _plain(x, channels, f"{name}_join")
    return layers.ReLU(6.0, name=f"{name}_join_relu")(x)


def _plain(x: keras.KerasTensor, channels: int, name: str) -> keras.KerasTensor:
    x = layers.Conv2D(channels, 1, use_bias=False, name=name)(x)
    return layers.BatchNormalization(momentum=0.99, name=f"{name}_bn")(x)


def _heads(x: keras.KerasTensor, name: str) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    rare = keras.initializers.Constant(RARE)
    heat = layers.Conv2D(1, 1, bias_initializer=rare, name=f"{name}_heat")(x)
    return heat, layers.Conv2D(SHAPE_CHANNELS, 1, name=f"{name}_shape")(x)
