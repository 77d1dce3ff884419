from __future__ import annotations

import warnings

import numpy as np
import pytest

from fkp_edge.core.keypoints import FKP15
from fkp_edge.evaluation.metrics import (
    bootstrap_interval,
    ced_auc,
    face_nme,
    median_change,
    point_distances,
    roc_auc,
    share_difference,
    summarise,
    wilson_interval,
)

NAN = float("nan")


def faces(count: int) -> np.ndarray:
    """Faces whose outer eye corners lie 10 pixels apart."""
    points = np.zeros((count, 15, 2))
    points[:, FKP15.outer_corners[0]] = (10, 0)
    return points


def moved(points: np.ndarray, *distances: float) -> np.ndarray:
    """Every point of each face moved by the distance given for it, 0.6 along x and 0.8 along y."""
    return points + np.array(distances)[:, None, None] * [0.6, 0.8]


# distances and NME


def test_point_distances_are_euclidean():
    assert point_distances(np.array([[[3, 4], [0, 0]]]), np.array([[[0, 0], [0, 2]]])).tolist() == [[5, 2]]


def test_point_distances_are_nan_where_no_label_is():
    distances = point_distances(np.zeros((1, 2, 2)), np.array([[[NAN, NAN], [0, 2]]]))
    np.testing.assert_array_equal(distances, [[NAN, 2]])


def test_face_nme_is_the_mean_distance_by_the_outer_eye_corners():
    true = faces(2)
    np.testing.assert_allclose(face_nme(moved(true, 0.5, 2), true, FKP15), [0.05, 0.2])


def test_face_nme_averages_over_the_points():
    true, predicted = faces(1), faces(1)
    predicted[0, 10] = (0, 30)
    np.testing.assert_allclose(face_nme(predicted, true, FKP15), [30 / 15 / 10])


def test_face_nme_leaves_out_what_is_not_labelled():
    true = faces(1)
    predicted = moved(true, 1)
    true[0, 6:] = NAN
    predicted[0, 10] += 1000
    np.testing.assert_allclose(face_nme(predicted, true, FKP15), [0.1])


def test_face_nme_is_nan_without_eye_corners():
    true = faces(2)
    true[1, FKP15.outer_corners[1]] = NAN
    np.testing.assert_allclose(face_nme(moved(true, 1, 1), true, FKP15), [0.1, NAN])


def test_face_nme_of_a_face_without_labels_is_nan_and_no_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(face_nme(faces(1), np.full((1, 15, 2), NAN), FKP15)).all()


# CED and ROC


@pytest.mark.parametrize(
    ("nme", "area"), [([0, 0], 1), ([0.1, 5], 0), ([0.05, 0.05], 0.5), ([0.02, 0.07, 0.3], 1.1 / 3)]
)
def test_ced_auc(nme: list[float], area: float):
    assert ced_auc(np.array(nme)) == pytest.approx(area)


def test_ced_auc_up_to_another_limit():
    assert ced_auc(np.array([0.05]), limit=0.2) == pytest.approx(0.75)


def test_ced_auc_is_the_area_under_the_counted_curve():
    nme = np.random.default_rng(0).uniform(0, 0.15, 300)
    thresholds = np.linspace(0, 0.1, 2001)
    assert ced_auc(nme) == pytest.approx(np.mean([(nme <= t).mean() for t in thresholds]), abs=1e-3)


@pytest.mark.parametrize(
    ("positive", "negative", "area"),
    [
        ([3, 4], [1, 2], 1),
        ([1, 2], [3, 4], 0),
        ([1, 1], [1, 1], 0.5),
        ([1, 3], [2], 0.5),
        ([2, 3], [2, 1], 3.5 / 4),
        ([5, 5, 1], [5, 0], 4 / 6),
    ],
)
def test_roc_auc_counts_ties_half(positive: list[float], negative: list[float], area: float):
    assert roc_auc(np.array(positive), np.array(negative)) == pytest.approx(area)


def test_roc_auc_agrees_with_comparing_every_pair():
    rng = np.random.default_rng(0)
    positive, negative = rng.integers(2, 9, 40), rng.integers(0, 7, 30)
    pairs = np.sign(positive[:, None] - negative[None]) / 2 + 0.5
    assert roc_auc(positive, negative) == pytest.approx(pairs.mean())


@pytest.mark.parametrize(("positive", "negative"), [([], [1]), ([1], []), ([], [])])
def test_roc_auc_of_nothing_is_nan(positive: list[float], negative: list[float]):
    assert np.isnan(roc_auc(np.array(positive), np.array(negative)))


# bootstrap


def test_bootstrap_interval_is_the_same_every_time():
    values = np.random.default_rng(0).exponential(size=80)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(values) != bootstrap_interval(values, seed=1)


def test_bootstrap_interval_contains_the_mean():
    values = np.random.default_rng(0).exponential(size=80)
    low, high = bootstrap_interval(values)
    assert low < values.mean() < high


def test_bootstrap_interval_is_as_wide_as_theory_says():
    values = np.random.default_rng(0).normal(size=400)
    low, high = bootstrap_interval(values)
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 400**0.5, rel=0.1)


def test_bootstrap_interval_of_equal_values_has_no_width():
    assert bootstrap_interval(np.full(7, 0.25)) == (0.25, 0.25)


# summary


def test_summarise_by_hand():
    true = faces(2)
    figures = summarise(moved(true, 0.5, 1.5), true, FKP15, np.array([2.0, 4.0]))
    assert figures["faces"] == 2
    assert figures["nme_percent"] == pytest.approx(10)
    assert figures["failures_percent"] == pytest.approx(50)
    assert figures["ced_auc"] == pytest.approx(0.25)
    assert figures["mae_px"] == pytest.approx((0.7 * 1 + 0.7 * 6) / 2)  # 0.6 along x and 0.8 along y
    assert figures["rmse_px"] == pytest.approx(((1**2 + 6**2) / 2 / 2) ** 0.5)
    assert figures["per_point_percent"] == pytest.approx(dict.fromkeys(FKP15.names, 10))
    assert figures["nme_interval_percent"] == pytest.approx([5, 15])


def test_summarise_names_the_worst_point():
    true, predicted = faces(4), faces(4)
    predicted[:, 10, 1] += 3
    figures = summarise(predicted, true, FKP15, np.ones(4))["per_point_percent"]
    assert {name: value for name, value in figures.items() if value} == {"nose_tip": pytest.approx(30)}


def test_summarise_leaves_faces_without_eye_corners_out_of_the_nme():
    true = faces(3)
    predicted = moved(true, 0.5, 0.5, 9)
    true[2, 3] = NAN
    figures = summarise(predicted, true, FKP15, np.ones(3))
    assert figures["faces"] == 2
    assert figures["nme_percent"] == pytest.approx(5)


def test_summarise_gives_nan_for_a_point_that_nobody_labelled():
    true = faces(2)
    true[:, 10] = NAN
    per_point = summarise(moved(faces(2), 1, 1), true, FKP15, np.ones(2))["per_point_percent"]
    assert [name for name, value in per_point.items() if np.isnan(value)] == ["nose_tip"]


# frames of one person err alike


def clustered(rng: np.random.Generator, people: int, frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Errors and subjects: a person's frames share most of their error."""
    own = rng.normal(5, 1, people).repeat(frames)
    return own + rng.normal(0, 0.3, people * frames), np.arange(people).repeat(frames)


def test_the_interval_over_people_covers_the_true_mean():
    rng = np.random.default_rng(2)
    covered = {"people": 0, "faces": 0}
    for seed in range(100):
        values, subject = clustered(rng, 50, 10)
        for name, whose in (("people", subject), ("faces", None)):
            low, high = bootstrap_interval(values, whose, draws=400, seed=seed)
            covered[name] += low <= 5 <= high
    assert covered["people"] >= 86
    assert covered["faces"] < 70


def test_subjects_may_have_any_numbers_and_counts():
    values = np.array([1.0, 1, 1, 4])
    low, high = bootstrap_interval(values, np.array([7, 7, 7, 3]))
    assert (low, high) == (1, 4)


def test_faces_of_one_person_alone_are_drawn_by_face():
    values = np.random.default_rng(0).normal(size=30)
    assert bootstrap_interval(values, np.zeros(30, int)) == bootstrap_interval(values)


def test_summarise_counts_people():
    true = faces(4)
    figures = summarise(moved(true, 0.5, 0.5, 1.5, 1.5), true, FKP15, np.ones(4), np.array([0, 0, 1, 1]))
    assert (figures["faces"], figures["subjects"]) == (4, 2)
    assert figures["nme_interval_percent"] == pytest.approx([5, 15])


# intervals of shares and medians


@pytest.mark.parametrize(
    ("hits", "of", "interval"), [(8, 10, (0.4902, 0.9433)), (0, 10, (0, 0.2775)), (10, 10, (0.7225, 1))]
)
def test_the_interval_of_a_share_is_wilsons(hits: int, of: int, interval: tuple[float, float]):
    assert wilson_interval(hits, of) == pytest.approx(interval, abs=1e-4)


def test_the_difference_of_two_shares_is_that_of_newcombes_table():
    assert share_difference((48, 80), (56, 70)) == pytest.approx([0.0524, 0.3339], abs=1e-4)
    assert share_difference((56, 70), (48, 80)) == pytest.approx([-0.3339, -0.0524], abs=1e-4)


def test_the_change_of_a_median_is_in_percent_of_the_one_before():
    assert median_change([10.0] * 5, [12.0] * 7) == pytest.approx([20, 20])
    assert median_change([12.0] * 5, [6.0] * 5) == pytest.approx([-50, -50])
    assert np.isfinite(median_change([0.0], [1.0])).all()


def test_the_interval_of_a_medians_change_is_as_wide_as_theory_says():
    rng = np.random.default_rng(0)
    values = rng.normal(100, 5, 4000)
    error = 1.2533 * 5 / 4000**0.5 / 100  # of a median of normal values, as a share of it
    expected = 100 * 1.96 * 2**0.5 * error
    assert median_change(values, values) == pytest.approx([-expected, expected], rel=0.15)
