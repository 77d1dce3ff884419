from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.train.published.fit import NetworkFit, Step, batches
from fkp_edge.train.published.networks import build_published
from fkp_edge.train.published.recipe import Data
from fkp_edge.train.published.rows import load_rows, split_rows, units_of
from fkp_edge.train.registry import read_recipe

from .conftest import make_faces

EVERY = tuple(range(15))


@pytest.fixture
def fit(recipe: Callable[..., Path], faces: FaceSet, tmp_path: Path) -> NetworkFit:
    small = read_recipe(recipe({}))
    model = build_published(small.network, 15, data_dir=tmp_path)
    return NetworkFit(model, small, EVERY, faces, faces, tmp_path, 0.0, 1)


def steps(recipe: Callable[..., Path], faces: FaceSet, points: tuple[int, ...] = EVERY, epoch: int = 0) -> list[Step]:
    return list(batches(faces, points, read_recipe(recipe({})), epoch, seed=1))


def test_an_epoch_shows_each_row_once_in_its_own_order(recipe: Callable[..., Path], faces: FaceSet):
    first, again, other = (steps(recipe, faces, epoch=epoch) for epoch in (0, 0, 1))
    assert [step.pixels.shape for step in first] == [(8, 96, 96, 1)] * 3
    shown = [{step.pixels[i].tobytes() for step in epoch for i in range(8)} for epoch in (first, other)]
    assert shown[0] == shown[1] == {image[..., None].astype(np.float32).tobytes() for image in faces.images}
    np.testing.assert_array_equal(first[0].pixels, again[0].pixels)
    assert (first[0].pixels != other[0].pixels).any()


def test_the_mask_says_what_is_labelled(recipe: Callable[..., Path], faces: FaceSet):
    masks = np.concatenate([step.mask for step in steps(recipe, faces)])
    assert masks.sum() == np.isfinite(faces.points).sum()


def test_a_network_of_some_points_sees_only_these(recipe: Callable[..., Path], faces: FaceSet):
    step = steps(recipe, faces, points=(0, 10))[0]
    assert step.offsets.shape == (8, 4)
    assert step.mask.all()


def test_a_true_offset_of_zero_counts_and_a_missing_one_does_not(fit: NetworkFit):
    out = np.full((1, 30), 2 / 96, np.float32)  # two pixels off
    zeros, mask = np.zeros((1, 30), np.float32), np.zeros((1, 30), np.float32)
    mask[:, :5] = 1
    assert float(fit._loss(out, Step(zeros, zeros, mask))) == pytest.approx(4)
    assert float(fit._loss(out, Step(zeros, zeros, zeros))) == 0


def test_a_loss_that_is_not_finite_ends_the_training(fit: NetworkFit):
    fit.model.get_layer("offsets").bias.assign(np.full(30, np.nan, np.float32))
    with pytest.raises(InputError, match=r"the loss is not finite in epoch 1; lower fit.learning_rate"):
        fit.run()


def test_parts_are_told_by_the_seed_and_share_no_row():
    faces = make_faces(24, lambda row: True)
    splits = [split_rows(faces, Data(val_share=0.25, test_share=0.25, seed=seed)) for seed in (1, 1, 2)]
    labels = [label for part in splits[0].values() for label in part.labels]
    assert sorted(labels) == sorted(faces.labels)
    assert {name: len(part) for name, part in splits[0].items()} == {"train": 12, "val": 6, "test": 6}
    numbers = [int(label.split()[1]) for label in splits[0]["train"].labels]
    assert numbers == sorted(numbers)  # the file's order, which ffill goes by
    assert splits[0]["val"].labels == splits[1]["val"].labels != splits[2]["val"].labels


def test_a_part_without_rows_is_named(faces: FaceSet):
    with pytest.raises(InputError, match=r"data.val_share = 0.0 and data.test_share = 0.25 leave none for val"):
        split_rows(faces, Data(val_share=0.0, test_share=0.25))
    with pytest.raises(InputError, match="leave none for train"):
        split_rows(faces, Data(val_share=0.75, test_share=0.25))


def test_whole_pictures_become_crops(tmp_path: Path, write_pts: Callable[..., Path]):
    write_pts(tmp_path / "faces" / "a.pts")
    rows = load_rows(Data(file="faces"), tmp_path)
    assert rows.cropped
    assert rows.images[0].shape == (96, 96)
    assert np.abs(units_of(rows)[0] - rows.schema.mean_shape).max() < 0.02
