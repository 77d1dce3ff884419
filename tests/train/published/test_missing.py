from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.train.published.missing import COMMON, fill_error_px, prepared, with_points

from .conftest import make_faces

FILLING = ("ffill", "median", "knn")


@pytest.mark.parametrize("strategy", FILLING)
def test_filling_leaves_no_gap_and_no_label_changed(faces: FaceSet, strategy: str):
    filled = prepared(faces, strategy, 3)
    assert np.isfinite(filled.points).all()
    known = np.isfinite(faces.points)
    np.testing.assert_array_equal(filled.points[known], faces.points[known])
    assert np.isnan(faces.points).any()  # what was handed in is as it was


def test_ffill_copies_from_the_row_above(faces: FaceSet):
    filled = prepared(faces, "ffill", 9).points
    np.testing.assert_array_equal(filled[2, 5], faces.points[0, 5])
    np.testing.assert_array_equal(filled[4, 5], faces.points[3, 5])


def test_median_is_that_of_the_column(faces: FaceSet):
    filled = prepared(faces, "median", 9).points
    np.testing.assert_allclose(filled[1, 5], np.median(faces.points[::3, 5], axis=0), rtol=1e-6)


def test_knn_takes_the_mean_of_the_nearest_rows(faces: FaceSet):
    filled = prepared(faces, "knn", 3).points
    far = np.linalg.norm(faces.points[::3][:, list(COMMON)] - faces.points[1, list(COMMON)], axis=(1, 2))
    nearest = np.argsort(far)[:3]
    np.testing.assert_allclose(filled[1, 5], faces.points[::3][nearest, 5].mean(0), rtol=1e-5)


def test_drop_keeps_complete_rows(faces: FaceSet):
    assert prepared(faces, "drop", 9).labels == faces.labels[::3]


def test_masked_and_specialists_keep_every_row(faces: FaceSet):
    for strategy in ("masked", "specialists"):
        assert prepared(faces, strategy, 9) is faces


def test_the_common_points_are_in_every_row(faces: FaceSet):
    assert len(with_points(faces, COMMON)) == len(faces)


def test_filled_values_are_measured_on_hidden_labels(faces: FaceSet):
    errors = {strategy: fill_error_px(faces, strategy, 2)[0] for strategy in FILLING}
    assert errors["knn"] < errors["median"] < errors["ffill"]  # the portrait's points move together
    _, truth, filled = fill_error_px(faces, "knn", 2)
    np.testing.assert_array_equal(truth.points[:, list(COMMON)], filled.points[:, list(COMMON)])


# what cannot work


def complaint(faces: FaceSet, strategy: str, neighbours: int = 9) -> str:
    with pytest.raises(InputError) as caught:
        prepared(faces, strategy, neighbours)
    return str(caught.value)


def test_ffill_without_a_complete_first_row():
    text = complaint(make_faces(3, lambda row: row > 0), "ffill")
    assert text.startswith(
        'missing = "ffill": row 2, the first training row, lacks left_eye_inner_corner_x and nothing'
    )
    assert text.endswith('choose another data.seed, or missing = "median"')


def test_knn_with_too_few_complete_rows(faces: FaceSet):
    text = complaint(faces, "knn")
    assert text == 'missing = "knn": 8 of the 24 training rows are complete; expected at least neighbours = 9'


def test_median_of_a_point_that_nobody_labelled(faces: FaceSet):
    points = faces.points.copy()
    points[:, 13] = np.nan
    assert "no training row has mouth_center_top_lip_x" in complaint(replace(faces, points=points), "median")


def test_drop_without_a_complete_row():
    text = complaint(make_faces(3, lambda row: False), "drop")
    assert text.startswith("none of the 3 training rows has all of left_eye_center, right_eye_center")
