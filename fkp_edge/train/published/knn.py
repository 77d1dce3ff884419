"""The baseline without a network: k nearest neighbours on pixels, their mean points."""

from __future__ import annotations

import numpy as np
from sklearn.neighbors import KNeighborsRegressor

from fkp_edge.core.keypoints import Points
from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.train.published.rows import pixels_of

__all__ = ["nearest_points"]


def nearest_points(train: FaceSet, faces: FaceSet, neighbours: int) -> Points:
    """The mean points of the `neighbours` pictures of `train` nearest to each picture of `faces`: (N, K, 2) pixels.

    Raises:
        InputError: there are fewer training pictures than neighbours.
    """
    if len(train) < neighbours:
        raise InputError(
            f"neighbours = {neighbours}, but only {len(train)} rows to look among; expected as many at least"
        )
    flat = [pixels_of(part).reshape(len(part), -1).astype(np.float32) for part in (train, faces)]
    found = (
        KNeighborsRegressor(n_neighbors=neighbours).fit(flat[0], train.points.reshape(len(train), -1)).predict(flat[1])
    )
    return np.asarray(found.reshape(faces.points.shape), np.float32)
