"""Filters are removed with everything that reads them: nothing else changes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow_model_optimization", reason="needs fkp-edge[convert]")

from fkp_edge.convert.channels import (
    count_macs,
    counts_left,
    find_filters,
    importance_of,
    keep_best,
    remove_filters,
)
from fkp_edge.train.backend import keras
from fkp_edge.train.networks import build_keypointnet
from fkp_edge.train.published.networks import build_published
from fkp_edge.train.published.recipe import Network as PublishedNetwork
from fkp_edge.train.recipe import Network

layers = keras.layers
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def residual() -> keras.Model:
    """Inverted-residual blocks, their batch norms as if trained."""
    keras.utils.set_random_seed(3)
    model = build_keypointnet(Network(stem=8, blocks=((8, 1, 4), (16, 2, 4), (16, 1, 4)), head=32, squeeze=16), 15)
    rng = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.set_weights([rng.uniform(0.5, 1.5, w.shape) for w in layer.get_weights()])
    return model


@pytest.fixture(scope="module")
def lenet() -> keras.Model:
    keras.utils.set_random_seed(3)
    return build_published(PublishedNetwork(layers="lenet5"), 15, data_dir=Path())


def points(model: keras.Model) -> np.ndarray:
    return np.array(model(PIXELS)["keypoints"])


def without_effect(model: keras.Model, layer: str, gone: list[int]) -> keras.Model:
    """`model` whose readers of these filters have zero weights for them."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    filters = next(f for f in find_filters(model) if f.layer == layer)
    for name in filters.readers:
        reader = copy.get_layer(name)
        kernel, *rest = reader.get_weights()
        parts = kernel.reshape(*kernel.shape[:-2], -1, filters.count, kernel.shape[-1])
        parts[..., gone, :] = 0
        reader.set_weights([parts.reshape(kernel.shape), *rest])
    return copy


def test_trunks_and_outputs_keep_their_width(residual: keras.Model):
    assert [f.layer for f in find_filters(residual)] == [
        "block0_expand",
        "block1_expand",
        "block2_expand",
        "head",
        "squeeze",
    ]


def test_a_network_without_additions_can_lose_filters_everywhere_but_at_its_end(lenet: keras.Model):
    assert [f.count for f in find_filters(lenet)] == [6, 16, 120, 84]


@pytest.mark.parametrize("name", ["residual", "lenet"])
def test_a_removed_filter_is_one_that_nobody_listened_to(name: str, request: pytest.FixtureRequest):
    model = request.getfixturevalue(name)
    for filters in find_filters(model):
        gone = [0, filters.count - 1]
        kept = np.setdiff1d(np.arange(filters.count), gone)
        smaller = remove_filters(model, [(filters, kept)])
        assert smaller.count_params() < model.count_params()
        np.testing.assert_allclose(
            points(smaller), points(without_effect(model, filters.layer, gone)), rtol=1e-4, atol=1e-5
        )


def test_removing_nothing_changes_nothing(residual: keras.Model):
    every = [(filters, np.arange(filters.count)) for filters in find_filters(residual)]
    np.testing.assert_array_equal(points(remove_filters(residual, every)), points(residual))


def test_a_channel_of_a_flattened_layer_is_removed_at_every_position(lenet: keras.Model):
    second = find_filters(lenet)[1]
    smaller = remove_filters(lenet, [(second, np.arange(8))])
    dense = smaller.get_layer(second.readers[0])
    assert dense.input_shape[-1] * 2 == lenet.get_layer(second.readers[0]).input_shape[-1]


def test_batch_norm_gains_rank_filters(residual: keras.Model):
    filters = find_filters(residual)[0]
    gain = np.abs(residual.get_layer("block0_depthwise_bn").gamma.numpy())
    np.testing.assert_allclose(importance_of(residual, filters, "batch_norm"), gain)


def test_without_a_batch_norm_weights_rank_filters(lenet: keras.Model):
    filters = find_filters(lenet)[0]
    kernel = lenet.get_layer(filters.layer).get_weights()[0]
    expected = np.abs(kernel).sum((0, 1, 2))
    for measure in ("batch_norm", "l1"):
        np.testing.assert_allclose(importance_of(lenet, filters, measure), expected, rtol=1e-6)


def test_the_most_important_filters_stay_in_their_order():
    importance = np.random.default_rng(2).permutation(32).astype(float)
    kept = keep_best(importance, 20)
    assert (len(kept), kept.tolist()) == (20, sorted(kept))
    assert importance[kept].min() > np.delete(importance, kept).max()


@pytest.mark.parametrize(("count", "share", "left"), [(32, 0.75, 8), (40, 0.4, 24), (6, 0.3, 4), (3, 0.99, 1)])
def test_one_layer_keeps_what_was_asked_for(count: int, share: float, left: int):
    assert counts_left([count], share) == [left]


@pytest.mark.parametrize("share", [0.1, 0.25, 0.3, 0.4, 0.6, 0.75, 0.9])
def test_the_share_is_met_over_the_network_in_sixteens_but_for_one_layer(share: float):
    rng = np.random.default_rng(0)
    for _ in range(50):
        counts = rng.integers(32, 257, rng.integers(1, 12)).tolist()
        left = counts_left(counts, share)
        assert abs(sum(left) - (1 - share) * sum(counts)) <= max(1, 0.01 * sum(counts))
        assert all(1 <= kept <= count for kept, count in zip(left, counts, strict=True))
        assert sum(kept % 16 != 0 for kept in left if kept > 16) <= 1


def test_blocks_of_the_shipped_network_stay_full():
    counts = [f.count for f in find_filters(build_keypointnet(Network(), 15)) if "block" in f.layer]
    left = counts_left(counts, 0.3)
    assert all(kept % 16 == 0 for kept in left)
    assert sum(left) / sum(counts) == pytest.approx(0.7, abs=0.005)


def test_multiply_accumulates_are_counted_by_hand():
    pixels = layers.Input((96, 96, 1))
    x = layers.Conv2D(4, 3, 2, padding="same")(pixels)
    x = layers.DepthwiseConv2D(3, padding="same")(x)
    model = keras.Model(pixels, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    assert count_macs(model) == 48 * 48 * (9 * 4 + 9 * 4) + 4 * 2


def test_the_shipped_network_needs_18_million():
    assert count_macs(build_keypointnet(Network(), 15)) == 18_449_568
