from __future__ import annotations

from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from fkp_edge.errors import InputError
from fkp_edge.train.backend import keras
from fkp_edge.train.published.networks import build_published
from fkp_edge.train.published.recipe import Layers, Network

LAYERS = get_args(Layers)
NOTOP = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"


def build(layers: str, points: int = 15, weights: str = "", data_dir: Path = Path()) -> keras.Model:
    return build_published(Network(layers=layers, weights=weights), points, data_dir=data_dir)


def count(model: keras.Model, kind: type) -> int:
    return sum(isinstance(layer, kind) for layer in model.layers)


def test_lenet5_has_the_parameters_that_its_author_gives():
    assert build("lenet5").count_params() == 943_054


@pytest.mark.parametrize("layers", LAYERS)
def test_every_network_takes_raw_pixels_and_gives_30_finite_offsets(layers: str):
    model = build(layers)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 1)).astype(np.float32)
    out = model(pixels)
    assert set(out) == {"keypoints"}
    assert out["keypoints"].shape == (2, 30)
    assert np.isfinite(out["keypoints"]).all()


def test_a_network_for_four_points_has_eight_outputs():
    assert build("lenet5", points=4).output["keypoints"].shape == (None, 8)


@pytest.mark.parametrize(("layers", "convolutions"), [("vgg16", 13), ("vgg19", 16), ("conv_bn_leaky", 10)])
def test_convolutions_are_as_many_as_the_name_says(layers: str, convolutions: int):
    assert count(build(layers), keras.layers.Conv2D) == convolutions


def test_conv_bn_leaky_has_no_bias_and_its_leak_is_a_tenth():
    model = build("conv_bn_leaky")
    assert not any(layer.use_bias for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    leaks = {float(layer.alpha) for layer in model.layers if isinstance(layer, keras.layers.LeakyReLU)}
    assert leaks == {np.float32(0.1)}


def test_conv_small_dropout_drops_more_with_depth():
    rates = [layer.rate for layer in build("conv_small_dropout").layers if isinstance(layer, keras.layers.Dropout)]
    assert rates == [0.05, 0.1, 0.2]


@pytest.fixture(scope="module")
def notop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """VGG-16's convolutions in the file that Keras would download, their values drawn."""
    keras.utils.set_random_seed(3)
    path = tmp_path_factory.mktemp("weights") / NOTOP
    keras.applications.VGG16(include_top=False, weights=None, input_shape=(96, 96, 3)).save_weights(path)
    return path


def test_vgg_starts_from_a_local_weights_file(notop: Path):
    keras.utils.set_random_seed(3)
    base = keras.applications.VGG16(include_top=False, weights=None, input_shape=(96, 96, 3))
    keras.utils.set_random_seed(4)
    model = build("vgg16", weights=NOTOP, data_dir=notop.parent)
    for name in ("block1_conv1", "block5_conv3"):
        np.testing.assert_array_equal(model.get_layer(name).get_weights()[0], base.get_layer(name).get_weights()[0])


def complaint(**arguments: object) -> str:
    with pytest.raises(InputError) as caught:
        build(**arguments)
    return str(caught.value)


def test_weights_that_are_not_there(tmp_path: Path):
    text = complaint(layers="vgg16", weights="w.h5", data_dir=tmp_path)
    assert text == f'network.weights: {tmp_path / "w.h5"} does not exist; expected Keras\'s {NOTOP}, or "imagenet"'


def test_weights_of_another_network(notop: Path):
    assert "does not fit vgg19 (" in complaint(layers="vgg19", weights=NOTOP, data_dir=notop.parent)


def test_a_file_that_holds_no_weights(tmp_path: Path):
    (tmp_path / "w.h5").write_text("no weights")
    assert "does not fit vgg16 (" in complaint(layers="vgg16", weights="w.h5", data_dir=tmp_path)


def test_imagenet_weights_without_a_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nothing listens there
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    text = complaint(layers="vgg16", weights="imagenet")
    assert 'network.weights = "imagenet" cannot be downloaded (' in text
    assert f"without a network put {NOTOP} into --data" in text


def test_weights_for_a_network_that_has_none():
    assert "only vgg16 and vgg19 start from weights, got lenet5" in complaint(layers="lenet5", weights="imagenet")
