"""Losses are paired by face, their intervals hold what they claim, and the gate goes by the upper end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fkp_edge.core.keypoints import FKP15
from fkp_edge.data import FaceSet
from fkp_edge.evaluation.comparison import LabelledCrops, compare, labelled_crops, relative_loss, worst

BLACK = np.zeros((96, 96), np.uint8)


def ready(count: int, name: str = "ready", seed: int = 0) -> FaceSet:
    """Black 96x96 pictures with points near the mean face."""
    rng = np.random.default_rng(seed)
    points = FKP15.mean_shape * 96 + rng.normal(0, 1, (count, 15, 2))
    return FaceSet(name, FKP15, points.astype(np.float32), [BLACK] * count, tuple(map(str, range(count))), cropped=True)


def moved(truth: LabelledCrops, size: float) -> np.ndarray:
    """The labels, each point moved by `size` eye distances to the right."""
    eyes = FKP15.inter_ocular(truth.points)
    return truth.points + np.stack([size * eyes, 0 * eyes], -1)[:, None, :]


def test_a_loss_is_relative_to_the_error_before():
    truth = labelled_crops([ready(5)])
    found = compare(moved(truth, 0.04), moved(truth, 0.05), truth)
    assert found.overall.faces == 5
    assert found.overall.before_percent == pytest.approx(4, abs=0.01)
    assert found.overall.loss_percent == pytest.approx(25, abs=0.1)
    assert found.points["nose_tip"].loss_percent == pytest.approx(25, abs=0.1)
    assert found.rmse_px[1] / found.rmse_px[0] == pytest.approx(1.25, abs=0.01)


def test_each_set_has_its_own_loss():
    truth = labelled_crops([ready(4, "a"), ready(2, "b", seed=1)])
    after = moved(truth, 0.04)
    in_b = truth.of_set[truth.face] == 1
    after[in_b] = moved(truth, 0.06)[in_b]
    found = compare(moved(truth, 0.04), after, truth)
    assert {name: (loss.faces, round(loss.loss_percent)) for name, loss in found.sets.items()} == {
        "a": (4, 0),
        "b": (2, 50),
    }


def test_the_mirror_image_of_a_crop_is_labelled_as_mirrored():
    truth = labelled_crops([ready(1)])
    left, right = FKP15.names.index("left_eye_center"), FKP15.names.index("right_eye_center")
    assert truth.points[1, right, 0] == pytest.approx(95 - truth.points[0, left, 0], abs=1e-4)


def test_whole_pictures_are_also_framed_as_the_tracker_does(portrait_faces: FaceSet):
    truth = labelled_crops([portrait_faces])
    assert np.bincount(truth.face).tolist() == [5, 5, 5]
    assert truth.plain.tolist() == [0, 5, 10]
    assert not np.array_equal(truth.pixels[2], truth.pixels[0])
    assert np.array_equal(truth.pixels[2], labelled_crops([portrait_faces]).pixels[2])


def test_faces_with_hidden_points_are_framed_so_too(portrait_faces: FaceSet):
    points = portrait_faces.points.copy()
    points[0, FKP15.names.index("nose_tip")] = np.nan
    truth = labelled_crops([replace(portrait_faces, points=points)])
    assert np.bincount(truth.face).tolist() == [5, 5, 5]


def test_the_interval_covers_the_true_loss():
    """2 % more error on average, with as much chance as two networks differ by."""
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(60):
        before = rng.gamma(9, 0.005, 300)
        loss = relative_loss(before, before * 1.02 + rng.normal(0, 0.006, 300))
        low, high = loss.interval_percent
        covered += low <= 2 <= high
    assert covered >= 52


def test_equal_networks_lose_nothing_for_sure():
    before = np.full(10, 0.05)
    assert relative_loss(before, before).interval_percent == (0.0, 0.0)


def test_faces_without_an_error_are_left_out_of_both():
    loss = relative_loss(np.array([0.1, np.nan, 0.1]), np.array([0.2, 0.5, np.nan]))
    assert (loss.faces, round(loss.loss_percent)) == (1, 100)


def test_points_that_nobody_labelled_have_no_figure():
    faces = ready(3)
    faces.points[:, FKP15.names.index("nose_tip")] = np.nan
    truth = labelled_crops([faces])
    found = compare(moved(truth, 0.04), moved(truth, 0.05), truth)
    assert found.points["nose_tip"].faces == 0
    assert found.overall.faces == 3


def test_the_worst_are_the_labels_own_crops_that_lost_most():
    truth = labelled_crops([ready(4)])
    after = moved(truth, 0.04)
    after[truth.face == 2] = moved(truth, 0.09)[truth.face == 2]
    after[truth.face == 0] = moved(truth, 0.06)[truth.face == 0]
    assert worst(moved(truth, 0.04), after, truth, 2) == [4, 0]


def test_frames_of_one_person_count_as_one():
    rng = np.random.default_rng(1)
    before = rng.normal(0.05, 0.001, 200)
    after = before * rng.normal(1.02, 0.05, 20).repeat(10)
    subject = np.arange(20).repeat(10)
    loss, naive = relative_loss(before, after, subject), relative_loss(before, after)
    assert (loss.faces, loss.subjects, naive.subjects) == (200, 20, 200)
    wide, narrow = (high - low for low, high in (loss.interval_percent, naive.interval_percent))
    assert wide > 2 * narrow


def test_people_of_different_sets_are_different_people():
    first = replace(ready(4, "a"), people=("x", "x", "y", "y"))
    truth = labelled_crops([first, ready(2, "b", seed=1)])
    assert truth.subject.tolist() == [0, 0, 1, 1, 2, 3]
    loss = compare(moved(truth, 0.04), moved(truth, 0.05), truth)
    assert (loss.overall.subjects, loss.sets["a"].subjects, loss.points["nose_tip"].subjects) == (4, 2, 4)
