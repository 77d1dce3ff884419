"""How far predicted points lie from labelled ones, and how sure that figure is. NumPy only.

NME: mean over the labelled points of a face of the distance, divided by the distance of its outer eye corners (the
300-W challenge's inter-ocular normalisation, Sagonas et al., ICCV-W 2013).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.keypoints import Schema

__all__ = [
    "Floats",
    "bootstrap_interval",
    "bootstrap_ratio",
    "ced_auc",
    "face_nme",
    "median_change",
    "point_distances",
    "roc_auc",
    "share_difference",
    "summarise",
    "wilson_interval",
]

FAILURE = 0.10
"""NME above which a face counts as failed."""

DRAWS = 2000
"""Samples of a bootstrap."""

Floats = NDArray[np.float64]


def point_distances(predicted: NDArray[np.floating], true: NDArray[np.floating]) -> Floats:
    """Distances (N, K) between points (N, K, 2), in their unit; NaN where `true` is not labelled."""
    return np.asarray(np.linalg.norm(np.asarray(predicted, np.float64) - np.asarray(true, np.float64), axis=-1))


def _mean_labelled(values: Floats, axis: int) -> Floats:
    """`np.nanmean`, but silent where nothing is labelled."""
    count = np.isfinite(values).sum(axis)
    return np.asarray(np.where(count, np.nansum(values, axis) / np.maximum(count, 1), np.nan))


def face_nme(predicted: NDArray[np.floating], true: NDArray[np.floating], schema: Schema) -> Floats:
    """NME of each face, a fraction (N,); NaN where the outer eye corners are not labelled."""
    return _mean_labelled(point_distances(predicted, true), axis=1) / schema.inter_ocular(true)


def ced_auc(nme: NDArray[np.floating], limit: float = FAILURE) -> float:
    """Area under the cumulative error distribution up to `limit`, as a fraction of its rectangle."""
    return float(np.mean(np.clip(1 - nme / limit, 0, 1)))


def roc_auc(positive: NDArray[np.floating], negative: NDArray[np.floating]) -> float:
    """Area under the ROC curve: the chance that a positive's score is above a negative's, ties counted half."""
    if not len(positive) or not len(negative):
        return float("nan")
    ordered = np.sort(negative)
    below = np.searchsorted(ordered, positive, "left")
    below_or_equal = np.searchsorted(ordered, positive, "right")
    return float((below + below_or_equal).mean() / 2 / len(negative))


def bootstrap_ratio(
    top: NDArray[np.floating],
    bottom: NDArray[np.floating],
    subject: NDArray[np.integer],
    *,
    draws: int = DRAWS,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of sum(top) / sum(bottom): the percentile bootstrap over subjects (Efron, 1979).

    Args:
        top, bottom: (N,) of each face; ones below give the interval of a mean.
        subject: (N,) whose face it is, whole numbers. People are drawn with all their faces, since faces of one person
            err alike (Field and Welsh, Bootstrapping clustered data, JRSS B 2007). Where all are of one person, faces
            are drawn: such an interval says nothing of other people.
        draws: samples.
        seed: of the draws.
    """
    _, number = np.unique(subject, return_inverse=True)
    people = int(number.max()) + 1
    if people == 1:
        number, people = np.arange(len(number)), len(number)
    sums = [np.bincount(number, np.asarray(values, np.float64), people) for values in (top, bottom)]
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, people, (draws, people))
    low, high = np.percentile(sums[0][drawn].sum(1) / sums[1][drawn].sum(1), [2.5, 97.5])
    return float(low), float(high)


def bootstrap_interval(
    values: NDArray[np.floating], subject: NDArray[np.integer] | None = None, *, draws: int = DRAWS, seed: int = 0
) -> tuple[float, float]:
    """95 % interval of the mean of `values` (N,), each of the `subject` (N,) given; see `bootstrap_ratio`."""
    whose = np.arange(len(values)) if subject is None else subject
    return bootstrap_ratio(values, np.ones(len(values)), whose, draws=draws, seed=seed)


def wilson_interval(hits: int, of: int) -> tuple[float, float]:
    """95 % interval of a share, `hits` of `of` (Wilson, 1927): it has a width where all or none are hits, too."""
    z = 1.959964
    share, weight = hits / of, z * z / of
    middle = (share + weight / 2) / (1 + weight)
    half = z / (1 + weight) * math.sqrt(share * (1 - share) / of + weight / 4 / of)
    return max(0.0, middle - half), min(1.0, middle + half)


def summarise(
    predicted: NDArray[np.floating],
    true: NDArray[np.floating],
    schema: Schema,
    scale: NDArray[np.floating],
    subject: NDArray[np.integer] | None = None,
) -> dict[str, Any]:
    """The figures of one set of faces.

    Args:
        predicted, true: (N, K, 2) pixels of the pictures.
        schema: names the points.
        scale: (N,) crop pixels (96 a side) per picture pixel, for `rmse_px` and `mae_px`, which are of coordinates.
        subject: (N,) whose face it is; each its own where None.
    """
    nme = face_nme(predicted, true, schema)
    known = np.isfinite(nme)
    used = nme[known]
    whose = (np.arange(len(nme)) if subject is None else subject)[known]
    distances = point_distances(predicted, true)
    offsets = np.abs(np.asarray(predicted, np.float64) - true) * scale[:, None, None]
    crop_pixels = distances * scale[:, None]
    normalised = distances / schema.inter_ocular(true)[:, None]
    low, high = bootstrap_interval(used, whose)
    per_point = _mean_labelled(normalised, axis=0)
    return {
        "faces": len(used),
        "subjects": len(np.unique(whose)),
        "nme_percent": 100 * float(used.mean()),
        "nme_interval_percent": [100 * low, 100 * high],
        "failures_percent": 100 * float(np.mean(used > FAILURE)),
        "ced_auc": ced_auc(used),
        "rmse_px": float(np.sqrt(np.nanmean(crop_pixels**2) / 2)),
        "mae_px": float(np.nanmean(offsets)),
        "per_point_percent": {name: 100 * float(v) for name, v in zip(schema.names, per_point, strict=True)},
    }


LEAST = 1e-6
"""Below what is saved: a median of 0 divides nothing."""


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
    (low, high), (low_after, high_after) = wilson_interval(*before), wilson_interval(*after)
    return np.array(
        [
            second - first - math.hypot(second - low_after, high - first),
            second - first + math.hypot(high_after - second, first - low),
        ]
    )
