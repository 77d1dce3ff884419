"""Points without a label: what each published system did about them.

Training rows only: errors never see a filled value. In the competition's file seven rows of ten lack 11 of 15 points.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from sklearn.impute import KNNImputer

from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.train.published.recipe import Missing
from fkp_edge.train.published.rows import chosen

__all__ = ["COMMON", "complete_rows", "fill_error_px", "prepared", "with_points"]

COMMON = (0, 1, 10, 14)
"""The points that nearly every row of the competition's file has: eye centres, tip of the nose, lower lip."""

Values = NDArray[np.float32]


def prepared(faces: FaceSet, strategy: Missing, neighbours: int) -> FaceSet:
    """`faces` as `strategy` hands them to training: rows left out, values filled, or as they are (`masked`).

    Raises:
        InputError: the strategy cannot work on these rows; the text says which value is in its way.
    """
    if strategy in ("masked", "specialists"):
        return faces
    if strategy == "drop":
        return complete_rows(faces)
    values = faces.points.reshape(len(faces), -1)
    if strategy == "ffill":
        filled = _ffill(values, faces)
    elif strategy == "median":
        filled = _median(values, faces)
    else:
        filled = _knn(values, faces, neighbours)
    return replace(faces, points=filled.reshape(faces.points.shape))


def with_points(faces: FaceSet, points: tuple[int, ...]) -> FaceSet:
    """The rows that have all the given points.

    Raises:
        InputError: no row has.
    """
    rows = np.flatnonzero(np.isfinite(faces.points[:, list(points)]).all((1, 2)))
    if not len(rows):
        wanted = ", ".join(faces.schema.names[i] for i in points)
        raise InputError(f"none of the {len(faces)} {faces.name} rows has all of {wanted}; expected one at least")
    return chosen(faces, rows, faces.name)


def complete_rows(faces: FaceSet) -> FaceSet:
    """The rows that lack nothing.

    Raises:
        InputError: there are none.
    """
    return with_points(faces, tuple(range(faces.schema.size)))


def _ffill(values: Values, faces: FaceSet) -> Values:
    if np.isnan(values[0]).any():
        lacks = _column(int(np.flatnonzero(np.isnan(values[0]))[0]), faces)
        raise InputError(
            f'missing = "ffill": {faces.labels[0]}, the first training row, lacks {lacks} and nothing stands above it; '
            'expected a complete row: choose another data.seed, or missing = "median"'
        )
    last_known = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(len(values))[:, None]), axis=0)
    return np.take_along_axis(values, last_known, axis=0)


def _median(values: Values, faces: FaceSet) -> Values:
    never = np.isnan(values).all(0)
    if never.any():
        lacks = _column(int(np.flatnonzero(never)[0]), faces)
        raise InputError(
            f'missing = "median": no training row has {lacks}, so it has no median; expected a label at least'
        )
    return np.where(np.isnan(values), np.nanmedian(values, axis=0), values)


def _knn(values: Values, faces: FaceSet, neighbours: int) -> Values:
    complete = int(np.isfinite(values).all(1).sum())
    if complete < neighbours:
        raise InputError(
            f'missing = "knn": {complete} of the {len(faces)} training rows are complete; expected at least '
            f"neighbours = {neighbours}"
        )
    return np.asarray(KNNImputer(n_neighbors=neighbours).fit_transform(values), np.float32)


def _column(index: int, faces: FaceSet) -> str:
    return f"{faces.schema.names[index // 2]}_{'xy'[index % 2]}"


def fill_error_px(
    faces: FaceSet, strategy: Missing, neighbours: int, *, seed: int = 0
) -> tuple[float, FaceSet, FaceSet]:
    """How far filled values lie from true ones: half of the complete rows lose all but their common points.

    Returns:
        Root mean square error of the hidden coordinates in pixels; the hidden rows as labelled, and as filled.
    """
    complete = np.isfinite(faces.points).all((1, 2))
    rows = np.flatnonzero(complete)[1:]  # the first keeps its points: ffill needs it
    hidden = np.sort(np.random.default_rng(seed).permutation(rows)[: max(1, len(rows) // 2)])
    others = np.setdiff1d(np.arange(faces.schema.size), COMMON)
    points = faces.points.copy()
    points[np.ix_(hidden, others)] = np.nan
    filled = prepared(replace(faces, points=points), strategy, neighbours)
    truth, guess = chosen(faces, hidden, "labelled"), chosen(filled, hidden, "filled")
    error = (guess.points - truth.points)[:, others]
    return float(np.sqrt((error**2).mean())), truth, guess
