"""The networks and their losses."""

from __future__ import annotations

import math

from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.train.backend import keras, tf
from fkp_edge.train.recipe import Loss, Network

__all__ = ["build_keypointnet", "freeze_start", "inverted_residual", "keypoint_loss", "score_loss"]

layers = keras.layers


def _conv_bn(x: keras.KerasTensor, channels: int, name: str, *, activate: bool = True) -> keras.KerasTensor:
    x = layers.Conv2D(channels, 1, use_bias=False, name=name)(x)
    x = layers.BatchNormalization(momentum=0.99, name=f"{name}_bn")(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x) if activate else x


def inverted_residual(x: keras.KerasTensor, channels: int, stride: int, expansion: int, name: str) -> keras.KerasTensor:
    before = x
    x = _conv_bn(x, x.shape[-1] * expansion, f"{name}_expand")
    x = layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False, name=f"{name}_depthwise")(x)
    x = layers.BatchNormalization(momentum=0.99, name=f"{name}_depthwise_bn")(x)
    x = layers.ReLU(6.0, name=f"{name}_depthwise_relu")(x)
    x = _conv_bn(x, channels, f"{name}_project", activate=False)
    if stride == 1 and before.shape[-1] == channels:
        x = layers.Add(name=f"{name}_add")([before, x])
    return x


def build_keypointnet(config: Network, points: int, *, batch: int | None = None) -> keras.Model:
    """An inverted-residual network (Sandler et al., MobileNetV2, CVPR 2018) for `points` keypoints.

    `batch` fixes the batch size, as TFLite wants it.

    The outputs come from 1x1 convolutions and a reshape: a per-channel quantised Dense layer silently returns
    constants in older TFLite runtimes.
    """
    pixels = layers.Input((CROP_SIZE, CROP_SIZE, 1), batch_size=batch, name="pixels")
    x = layers.Rescaling(1 / 255, name="normalise")(pixels)
    x = layers.Conv2D(config.stem, 3, 2, padding="same", use_bias=False, name="stem")(x)
    x = layers.BatchNormalization(momentum=0.99, name="stem_bn")(x)
    x = layers.ReLU(6.0, name="stem_relu")(x)
    for index, (channels, stride, expansion) in enumerate(config.blocks):
        x = inverted_residual(x, channels, stride, expansion, f"block{index}")
    x = _conv_bn(x, config.head, "head")
    x = _conv_bn(x, config.squeeze, "squeeze")
    x = layers.Reshape((1, 1, -1), name="join")(x)
    offsets = layers.Conv2D(
        2 * points, 1, name="offsets", kernel_initializer=keras.initializers.RandomNormal(stddev=0.01)
    )(x)
    keypoints = layers.Reshape((2 * points,), name="keypoints")(offsets)
    logit = layers.Conv2D(1, 1, name="score_logit")(x)
    score = layers.Activation("sigmoid", name="score")(layers.Reshape((1,), name="score_flat")(logit))
    return keras.Model(pixels, {"keypoints": keypoints, "score": score}, name="keypointnet")


def freeze_start(model: keras.Model, blocks: int) -> None:
    """Keeps the stem and the first `blocks` blocks of `model` as they are, weights and norms' statistics; 0: none."""
    kept = tuple(["stem"] * bool(blocks) + [f"block{index}_" for index in range(blocks)])
    for layer in model.layers:
        if kept and layer.name.startswith(kept):
            layer.trainable = False


def keypoint_loss(predicted: tf.Tensor, true: tf.Tensor, mask: tf.Tensor, weight: tf.Tensor, config: Loss) -> tf.Tensor:
    """Mean loss over labelled coordinates.

    Args:
        predicted: offsets (N, 2K), crop units.
        true: the same; anything where `mask` is 0.
        mask: (N, 2K), 1 where a coordinate is labelled: a mask, so that a true coordinate of zero still counts.
        weight: (N, 1), weight of each face.
        config: kind and widths.
    """
    error = tf.abs(predicted - true) * CROP_SIZE
    if config.kind == "wing":
        # Feng et al., Wing Loss for Robust Facial Landmark Localisation, CVPR 2018, equation 5
        constant = config.width - config.width * math.log(1 + config.width / config.curvature)
        near = config.width * tf.math.log(1 + error / config.curvature)
        loss = tf.where(error < config.width, near, error - constant)
    else:
        loss = tf.where(error < config.width, error * error / (2 * config.width), error - config.width / 2)
    weights = mask * weight
    return tf.reduce_sum(loss * weights) / tf.maximum(tf.reduce_sum(weights), 1.0)


def score_loss(predicted: tf.Tensor, true: tf.Tensor) -> tf.Tensor:
    """Mean binary cross-entropy of probabilities (N, 1)."""
    p = tf.clip_by_value(predicted, 1e-6, 1 - 1e-6)
    return -tf.reduce_mean(true * tf.math.log(p) + (1 - true) * tf.math.log(1 - p))
