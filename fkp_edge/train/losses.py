"""Losses on masked keypoints, in pixels of the 96x96 crop."""

from __future__ import annotations

import math

from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.train.backend import tf
from fkp_edge.train.recipe import Loss

__all__ = ["keypoint_loss", "score_loss"]


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
