"""Kaggle's submission file: one row for each line of IdLookupTable.csv, with its RowId and the coordinate found."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.keypoints import Points
from fkp_edge.data.kaggle import COLUMNS
from fkp_edge.data.tables import table_rows, whole_number
from fkp_edge.errors import InputError

__all__ = ["Wanted", "read_lookup", "submission"]


class Wanted(NamedTuple):
    """One line of IdLookupTable.csv."""

    row: int
    """RowId."""
    image: int
    """ImageId."""
    column: int
    """Which of the 30 coordinates."""


def read_lookup(path: Path) -> list[Wanted]:
    """The lines of an IdLookupTable.csv.

    Raises:
        InputError: a column is missing, an id is no whole number, or a feature is none of Kaggle's 30 coordinates.
    """
    wanted = []
    for where, cells in table_rows(path, ("RowId", "ImageId", "FeatureName"), "Kaggle's RowId, ImageId, FeatureName"):
        row, image, feature = cells
        if feature not in COLUMNS:
            near = difflib.get_close_matches(feature, COLUMNS, n=1, cutoff=0)[0]
            raise InputError(f"{where} column FeatureName: {feature[:40]!r} is no coordinate; did you mean {near!r}?")
        numbers = whole_number(row, where, "RowId"), whole_number(image, where, "ImageId")
        wanted.append(Wanted(*numbers, COLUMNS.index(feature)))
    return wanted


def submission(wanted: list[Wanted], points: Mapping[int, Points]) -> str:
    """The submission as CSV text.

    Args:
        wanted: which coordinates, as `read_lookup` gives them.
        points: ImageId -> its points (15, 2), pixels of the 96x96 picture; clipped to 0..96, as Kaggle wants them.

    Raises:
        InputError: a wanted picture has no points.
    """
    lines = ["RowId,Location"]
    for row, image, column in wanted:
        if image not in points:
            raise InputError(
                f"IdLookupTable.csv asks for ImageId {image}, which test.csv lacks; expected files of one set"
            )
        value = min(max(float(points[image].ravel()[column]), 0.0), float(CROP_SIZE))
        lines.append(f"{row},{value:.4f}")
    return "\n".join(lines) + "\n"
