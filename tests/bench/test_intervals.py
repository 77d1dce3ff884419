"""Against figures of the literature, and by trial."""

from __future__ import annotations

import numpy as np
import pytest

from fkp_edge.evaluation.metrics import median_change, share_difference, wilson_interval


def test_wilson_intervals_interval():  # Newcombe, Statistics in Medicine 17 (1998), 857-872, table I, method 3
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)


def test_newcombes_interval():  # the same volume, 873-890, table II, method 10
    assert share_difference((48, 80), (56, 70)) == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert share_difference((0, 10), (10, 10)) == pytest.approx((0.6075, 1), abs=5e-5)


def test_newcombes_interval_holds_the_difference_of_most_trials():
    rng = np.random.default_rng(0)
    counts = rng.binomial(500, (0.02, 0.05), (400, 2)).tolist()
    intervals = [share_difference((first, 500), (second, 500)) for first, second in counts]
    assert 0.92 < np.mean([low <= 0.03 <= high for low, high in intervals]) < 0.98


def test_the_median_of_blocks_that_are_alike_has_not_changed():
    assert median_change([2.0] * 9, [2.0] * 9).tolist() == [0, 0]
    assert median_change([2.0] * 9, [3.0] * 9) == pytest.approx([50, 50])
