"""The published networks, by the layer lists that their authors give.

All take raw grey pixels (N, 96, 96, 1) as floats and give `keypoints` (N, 2P): offsets from the mean shape in crop
units. Where an author says nothing (padding, activations), what his code or framework did by default stands here.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.errors import InputError
from fkp_edge.train.backend import keras
from fkp_edge.train.containers import check_hdf5
from fkp_edge.train.networks import build_keypointnet
from fkp_edge.train.published.recipe import Network
from fkp_edge.train.recipe import Network as Flagship

__all__ = ["build_published"]

layers = keras.layers
Tensor = Any
"""A symbolic Keras tensor."""

IMAGENET_MEANS = (103.939, 116.779, 123.68)
"""Blue, green, red: what VGG's weights expect to be taken off (Simonyan and Zisserman, 2015)."""

BATCH_MOMENTUM = 0.9
"""Of batch norm's running means. With Keras's 0.99 they need a thousand steps to forget their start, and a network of
many such layers validates as if it knew nothing for as long: these data have some 50 steps an epoch."""


def build_published(config: Network, points: int, *, data_dir: Path) -> keras.Model:
    """The network `config.layers` for `points` keypoints, its weights random or, for VGG, as `config.weights` says.

    `data_dir` is the folder in which a local weights file lies.

    Raises:
        InputError: the weights cannot be had, do not fit, or are asked for a network that has none.
    """
    if config.layers in ("vgg16", "vgg19"):
        return _vgg(config, points, data_dir)
    if config.weights:
        raise InputError(
            f"network.weights = {config.weights!r}: only vgg16 and vgg19 start from weights, got {config.layers}"
        )
    if config.layers == "keypointnet":
        whole = build_keypointnet(Flagship(), points)
        model = keras.Model(whole.input, {"keypoints": whole.output["keypoints"]}, name="keypointnet")
    else:
        pixels = layers.Input((CROP_SIZE, CROP_SIZE, 1), name="pixels")
        model = _ending(pixels, TRUNKS[config.layers](pixels), points, config.layers)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = BATCH_MOMENTUM
    return model


def _ending(pixels: Tensor, features: Tensor, points: int, name: str) -> keras.Model:
    # starting near zero is starting at the mean face
    near_zero = keras.initializers.RandomNormal(stddev=0.01)
    offsets = layers.Dense(2 * points, name="offsets", kernel_initializer=near_zero)(features)
    return keras.Model(pixels, {"keypoints": offsets}, name=name)


def _normalised(pixels: Tensor) -> Tensor:
    return layers.Rescaling(1 / 255, name="normalise")(pixels)


def _conv(x: Tensor, channels: int, size: int, *, padding: str = "valid") -> Tensor:
    return layers.Conv2D(channels, size, padding=padding, activation="relu")(x)


def _lenet5(pixels: Tensor) -> Tensor:
    """LeCun et al., 1998, at 96x96 and with ReLU: 943,054 parameters with 30 outputs."""
    x = _normalised(pixels)
    for channels in (6, 16):
        x = layers.AveragePooling2D(2)(_conv(x, channels, 3))
    x = layers.Dense(120, activation="relu")(layers.Flatten()(x))
    return layers.Dense(84, activation="relu")(x)


def _conv_bn_leaky(pixels: Tensor) -> Tensor:
    """Five pairs of convolutions without bias, LeakyReLU before batch norm, max pooling after all pairs but one."""
    x = _normalised(pixels)
    for channels, size in ((32, 5), (64, 3), (128, 3), (256, 3), (512, 3)):
        for _ in range(2):
            x = layers.Conv2D(channels, size, padding="same", use_bias=False)(x)
            x = layers.BatchNormalization()(layers.LeakyReLU(0.1)(x))
        if channels < 512:
            x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(512, activation="relu")(layers.Flatten()(x))
    return layers.Dropout(0.1)(x)


def _conv_gap(pixels: Tensor) -> Tensor:
    """Batch norm on the raw pixels; four pools bring the map down to one position before the global average."""
    x = layers.BatchNormalization(name="normalise")(pixels)
    x = layers.MaxPooling2D(2)(_conv(x, 24, 5, padding="same"))
    for channels, size in ((36, 5), (48, 5), (64, 3)):
        x = layers.MaxPooling2D(2, padding="same")(_conv(x, channels, size))
    x = layers.GlobalAveragePooling2D()(_conv(x, 64, 3))
    x = layers.Dense(500, activation="relu")(x)
    return layers.Dense(90, activation="relu")(x)


def _conv_small(pixels: Tensor) -> Tensor:
    """32, 64, 128 at 3x3; nearly all of its 26 million weights stand between the last map and the 512."""
    x = _normalised(pixels)
    for channels in (32, 64):
        x = layers.MaxPooling2D(2)(_conv(x, channels, 3))
    x = layers.Flatten()(_conv(x, 128, 3))
    return layers.Dense(512, activation="relu")(x)


def _conv_small_dropout(pixels: Tensor) -> Tensor:
    """The same author's second try: one convolution less, dropout that grows with depth."""
    x = _normalised(pixels)
    for channels, share in ((32, 0.05), (64, 0.1)):
        x = layers.Dropout(share)(layers.MaxPooling2D(2)(_conv(x, channels, 3)))
    x = layers.Dense(512, activation="relu")(layers.Flatten()(x))
    return layers.Dropout(0.2)(x)


def _residual(pixels: Tensor) -> Tensor:
    """Bottleneck blocks (He et al., CVPR 2016); two stages at half the usual width, dense layers an eighth as wide."""
    x = layers.ZeroPadding2D(3)(_normalised(pixels))
    x = layers.ReLU()(layers.BatchNormalization()(layers.Conv2D(64, 7, 2)(x)))
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    for narrow, wide, stride in ((32, 128, 1), (64, 256, 2)):
        x = _bottleneck(x, narrow, wide, stride)
        for _ in range(2):
            x = _bottleneck(x, narrow, wide)
    x = layers.Flatten()(layers.AveragePooling2D(2)(x))
    x = layers.Dropout(0.2)(layers.Dense(512, activation="relu")(x))
    return layers.Dropout(0.1)(layers.Dense(256, activation="relu")(x))


def _bottleneck(x: Tensor, narrow: int, wide: int, stride: int = 1) -> Tensor:
    before = x
    for channels, size, step in ((narrow, 1, stride), (narrow, 3, 1)):
        x = layers.Conv2D(channels, size, step, padding="same")(x)
        x = layers.ReLU()(layers.BatchNormalization()(x))
    x = layers.BatchNormalization()(layers.Conv2D(wide, 1)(x))
    if before.shape[-1] != wide:
        before = layers.BatchNormalization()(layers.Conv2D(wide, 1, stride)(before))
    return layers.ReLU()(layers.Add()([x, before]))


TRUNKS: dict[str, Callable[[Tensor], Tensor]] = {
    "lenet5": _lenet5,
    "conv_bn_leaky": _conv_bn_leaky,
    "conv_gap": _conv_gap,
    "conv_small": _conv_small,
    "conv_small_dropout": _conv_small_dropout,
    "residual": _residual,
}


def _vgg(config: Network, points: int, data_dir: Path) -> keras.Model:
    """Keras's own VGG on the grey channel three times, then dense 512."""
    build = getattr(keras.applications, config.layers.upper())
    pixels = layers.Input((CROP_SIZE, CROP_SIZE, 1), name="pixels")
    x = layers.Concatenate(name="grey_three_times")([pixels] * 3)
    x = layers.Rescaling(1.0, [-mean for mean in IMAGENET_MEANS], name="normalise")(x)
    # from the same input on, so that the layers are this network's own and not a model within it
    base = build(include_top=False, weights=None, input_tensor=x)
    _load_vgg_weights(base, config, data_dir)
    x = layers.Dense(512, activation="relu", name="regress")(layers.Flatten(name="flatten")(base.output))
    return _ending(pixels, x, points, config.layers)


def _load_vgg_weights(base: keras.Model, config: Network, data_dir: Path) -> None:
    if not config.weights:
        return
    name = f"{config.layers}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    if config.weights == "imagenet":
        try:
            build = getattr(keras.applications, config.layers.upper())
            with contextlib.redirect_stdout(sys.stderr):  # Keras shows the download's progress on stdout
                source = build(include_top=False, weights="imagenet", input_shape=(CROP_SIZE, CROP_SIZE, 3))
        except Exception as error:  # Keras's get_file raises Exception itself
            reason = str(error).splitlines()[0]
            raise InputError(
                f'network.weights = "imagenet" cannot be downloaded ({reason}); without a network put {name} into '
                "--data and name it as network.weights"
            ) from error
        own = [layer for layer in base.layers if layer.name.startswith("block")]
        for layer in own:
            layer.set_weights(source.get_layer(layer.name).get_weights())
        return
    path = data_dir / config.weights
    if not path.is_file():
        raise InputError(f'network.weights: {path} does not exist; expected Keras\'s {name}, or "imagenet"')
    try:
        check_hdf5(path, str(path))
        base.load_weights(path)
    except InputError:
        raise
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"network.weights: {path} does not fit {config.layers} ({reason}); expected {name}") from error
