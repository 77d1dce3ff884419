"""Losses against figures computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from fkp_edge.train.backend import tf
from fkp_edge.train.networks import keypoint_loss, score_loss
from fkp_edge.train.recipe import Loss


def loss_of(error_px: float, config: Loss, mask: float = 1.0, weight: float = 1.0) -> float:
    predicted = tf.constant([[error_px / 96, 0.0]])
    masks = tf.constant([[mask, 0.0]])
    return float(keypoint_loss(predicted, tf.zeros((1, 2)), masks, tf.constant([[weight]]), config))


def test_wing_is_logarithmic_near_and_linear_far() -> None:
    config = Loss(kind="wing", width=5.0, curvature=1.0)
    assert loss_of(2.0, config) == pytest.approx(5 * math.log(3), rel=1e-5)
    assert loss_of(9.0, config) == pytest.approx(9 - (5 - 5 * math.log(6)), rel=1e-5)


def test_smooth_l1_is_square_near_and_linear_far() -> None:
    config = Loss(kind="smooth_l1", width=4.0)
    assert loss_of(2.0, config) == pytest.approx(0.5, rel=1e-5)
    assert loss_of(9.0, config) == pytest.approx(7.0, rel=1e-5)


def test_masked_coordinates_count_neither_way() -> None:
    assert loss_of(9.0, Loss(), mask=0.0) == 0.0


def test_a_true_coordinate_of_zero_still_counts() -> None:
    assert loss_of(3.0, Loss()) > 0


def test_weights_shift_the_mean_and_not_its_size() -> None:
    assert loss_of(3.0, Loss(), weight=2.0) == pytest.approx(loss_of(3.0, Loss()), rel=1e-6)


def test_score_loss_is_cross_entropy_and_finite_at_the_ends() -> None:
    loss = score_loss(tf.constant([[0.8], [0.4]]), tf.constant([[1.0], [0.0]]))
    assert float(loss) == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2, rel=1e-5)
    assert np.isfinite(float(score_loss(tf.constant([[0.0]]), tf.constant([[1.0]]))))
