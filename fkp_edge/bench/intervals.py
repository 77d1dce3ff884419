"""95 % intervals of what changed between two samples."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "median_change", "share_difference", "wilson"]

DRAWS = 2000
NORMAL_95 = 1.959964
LEAST = 1e-6
"""Below what is saved: a median of 0 divides nothing."""

Floats = NDArray[np.float64]


def median_change(before: Sequence[float], after: Sequence[float]) -> Floats:
    """Of the change of the median, percent: values of both drawn anew (Efron, 1979)."""
    rng = np.random.default_rng(0)
    draws = []
    for found in (before, after):
        values = np.array(found)
        draws.append(np.median(values[rng.integers(0, len(values), (DRAWS, len(values)))], axis=1))
    ratios = draws[1] / np.maximum(draws[0], LEAST)
    return np.asarray(100 * (np.percentile(ratios, [2.5, 97.5]) - 1), np.float64)


def share_difference(before: tuple[int, int], after: tuple[int, int]) -> Floats:
    """Of the share after less the share before, each a count and what it is of (Newcombe, 1998, method 10)."""
    first, second = (count / of for count, of in (before, after))
    (low, high), (low_after, high_after) = wilson(*before), wilson(*after)
    return np.array(
        [
            second - first - math.hypot(second - low_after, high - first),
            second - first + math.hypot(high_after - second, first - low),
        ]
    )


def wilson(count: int, of: int) -> tuple[float, float]:
    """Of a share (Wilson, 1927)."""
    share, z2 = count / of, NORMAL_95**2
    middle = share + z2 / (2 * of)
    half = NORMAL_95 * math.sqrt(share * (1 - share) / of + z2 / (4 * of**2))
    return max(0.0, (middle - half) / (1 + z2 / of)), min(1.0, (middle + half) / (1 + z2 / of))
