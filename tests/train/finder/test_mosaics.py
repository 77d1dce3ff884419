"""Mosaics hold small faces where they say, and end whatever they are made of."""

from __future__ import annotations

import cv2
import numpy as np

from fkp_edge.core.geometry import box_around, crop_from_labels
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data.pictures import portrait, portrait_points
from fkp_edge.evaluation.evaluate import LabelledPhotograph
from fkp_edge.train.finder.mosaics import mosaics


def photograph() -> LabelledPhotograph:
    """The portrait beside a wall of noise."""
    grey = np.asarray(cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY), np.uint8)
    wall = np.random.default_rng(0).integers(0, 60, (grey.shape[0], 2 * grey.shape[1]), np.uint8)
    return LabelledPhotograph(np.hstack([grey, wall]), (box_around(crop_from_labels(portrait_points(), FKP15)),), ())


def cut(picture: np.ndarray, box: tuple[float, float, float, float]) -> np.ndarray:
    x, y, w, h = (round(v) for v in box)
    return cv2.resize(picture[y : y + h, x : x + w], (32, 32), interpolation=cv2.INTER_AREA).astype(np.float32)


def test_each_face_lies_where_its_box_says() -> None:
    source = photograph()
    face = cut(source.picture, source.faces[0])
    made = mosaics([source], count=6)
    seen = [cut(m.picture, box) for m in made for box in m.faces]
    assert len(seen) >= 6
    assert min(np.corrcoef(one.ravel(), face.ravel())[0, 1] for one in seen) > 0.8
    assert all(15 < box[2] < 160 for m in made for box in m.faces)


def test_the_same_seed_gives_the_same_mosaics() -> None:
    first, second = (mosaics([photograph()], count=2, seed=9) for _ in range(2))
    assert all((a.picture == b.picture).all() and a.faces == b.faces for a, b in zip(first, second, strict=True))


def test_photographs_that_are_all_face_leave_the_rest_black() -> None:
    whole = LabelledPhotograph(np.full((60, 60), 200, np.uint8), ((0.0, 0.0, 60.0, 60.0),), ())
    (made,) = mosaics([whole], count=1)
    assert made.picture.mean() < 150
