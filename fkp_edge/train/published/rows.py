"""The rows of a labelled file as ready 96x96 pictures, split for training, validation and test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fkp_edge import data
from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.train.published.recipe import Data

__all__ = ["check_rows", "chosen", "load_rows", "pixels_of", "split_rows", "units_of"]


def load_rows(config: Data, data_dir: Path) -> FaceSet:
    """The faces of the recipe's file as 96x96 pictures; a `.csv` that is not there may lie there as `.zip`.

    Raises:
        InputError: the file is missing or wrong.
    """
    return data.load_one(_file_of(config, data_dir), FKP15).as_crops()


def check_rows(config: Data, data_dir: Path) -> None:
    """Says now what `load_rows` would say of a file that is not there.

    Raises:
        InputError: the file is missing.
    """
    if not (path := _file_of(config, data_dir)).exists():
        data.load_one(path, FKP15)


def _file_of(config: Data, data_dir: Path) -> Path:
    path = data_dir / config.file
    zipped = path.with_suffix(".zip")
    return zipped if path.suffix == ".csv" and not path.exists() and zipped.exists() else path


def chosen(faces: FaceSet, rows: NDArray[np.intp], name: str) -> FaceSet:
    """The given rows of `faces`, called `name`."""
    images = [faces.images[i] for i in rows]
    return replace(
        faces, name=name, points=faces.points[rows], images=images, labels=tuple(faces.labels[i] for i in rows)
    )


def split_rows(faces: FaceSet, config: Data) -> dict[str, FaceSet]:
    """`train`, `val` and, where it has a share, `test`; each in the file's order, which is what `ffill` goes by.

    Raises:
        InputError: a part is left without rows, or validation without any face whose error can be told.
    """
    count = len(faces)
    order = np.random.default_rng(config.seed).permutation(count)
    test, val = (round(share * count) for share in (config.test_share, config.val_share))
    parts = {"train": order[test + val :], "val": order[test : test + val], "test": order[:test]}
    split = {name: chosen(faces, np.sort(rows), name) for name, rows in parts.items() if name != "test" or test}
    for name, part in split.items():
        if not len(part):
            raise InputError(
                f"{faces.name} has {count} rows, of which data.val_share = {config.val_share} and data.test_share = "
                f"{config.test_share} leave none for {name}; expected at least one"
            )
        if name != "train" and not np.isfinite(faces.schema.inter_ocular(part.points)).any():
            raise InputError(
                f"{faces.name}: none of the {len(part)} {name} rows has both outer eye corners labelled, by which the "
                "error is measured; choose another data.seed or a larger share"
            )
    return split


def pixels_of(faces: FaceSet) -> NDArray[np.uint8]:
    """The pictures of cropped faces, (N, 96, 96)."""
    return np.stack(list(faces.images))


def units_of(faces: FaceSet) -> NDArray[np.float32]:
    """The points of cropped faces in crop units, (N, K, 2); NaN where not labelled."""
    return np.asarray((faces.points + 0.5) / CROP_SIZE, np.float32)
