from __future__ import annotations

import json
from importlib import resources

import numpy as np

from fkp_edge.core.geometry import crop_from_labels, crop_from_track
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data.pictures import portrait, portrait_points


def test_portrait_is_in_color():
    picture = portrait()
    assert (picture.shape, picture.dtype) == ((512, 512, 3), np.uint8)
    assert picture.std(axis=-1).mean() > 5


def test_each_call_gives_a_picture_of_its_own():
    portrait()[:] = 0
    assert portrait().any()


def test_points_lie_as_in_a_face():
    points = portrait_points()
    units = crop_from_labels(points, FKP15).to_units(points)
    assert (points.shape, points.dtype) == ((15, 2), np.float32)
    assert np.linalg.norm(units - FKP15.mean_shape, axis=-1).max() < 0.15


def test_points_are_in_the_schemas_order():
    points = portrait_points()
    aligned = crop_from_track(points, FKP15.mean_shape).to_units(points)
    nearest = np.linalg.norm(aligned[:, None] - FKP15.mean_shape[None], axis=-1).argmin(1)
    assert nearest.tolist() == list(range(15))


def test_provenance_and_licence_stand_beside_it():
    described = json.loads((resources.files("fkp_edge.data") / "eileen_collins.json").read_text())
    assert "NASA" in described["source"]
    assert "public domain" in described["licence"]
