"""Model files that would run code or fill the memory are refused before anything is built, whatever they are called."""

from __future__ import annotations

import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorflow", reason="needs fkp-edge[train]")

from fkp_edge.core.keypoints import FKP15
from fkp_edge.errors import InputError
from fkp_edge.train.backend import h5py, keras, tf
from fkp_edge.train.containers import LAYERS, open_keras
from fkp_edge.train.networks import build_keypointnet
from fkp_edge.train.recipe import Network
from fkp_edge.train.saved import load_trained

layers = keras.layers


def network(*more: keras.layers.Layer, activation: Any = "relu") -> keras.Model:
    """A small network on 96x96 pictures."""
    first = [layers.Conv2D(2, 5, 8, activation=activation, input_shape=(96, 96, 1)), *more]
    return keras.Sequential([*first, layers.Flatten(), layers.Dense(30)])


def saved(model: keras.Model, path: Path, container: str = "") -> Path:
    """`model` in `path`, as HDF5 or as a zip whatever its suffix says."""
    made = path.with_name(f"made.{container or path.suffix[1:]}")
    with pytest.warns(UserWarning, match="HDF5") if made.suffix == ".h5" else pytest.MonkeyPatch().context():
        model.save(made)
    return made.replace(path)


def describe(path: Path) -> None:
    """model.json beside a model, as `train` writes it."""
    described = {"schema": "fkp15", "mean_shape": FKP15.mean_shape.tolist(), "recipe": {}, "parameters": 1}
    path.with_suffix(".json").write_text(json.dumps(described))


def changed(path: Path, change: Callable[[Any], Any]) -> Path:
    """`path` (a zip) with its configuration changed."""
    other = path.with_name("changed.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, json.dumps(change(json.loads(content))) if name == "config.json" else content)
    return other


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        open_keras(path)
    return str(caught.value)


class Mark:
    """A Lambda's function that leaves a file where it runs."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def layer(self) -> keras.layers.Lambda:
        place = str(self.place)
        return layers.Lambda(lambda x, place=place: (open(place, "w").close(), x)[1])  # noqa: PTH123


@pytest.mark.parametrize("container", ["h5", "keras"])
@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_a_lambda_is_not_run_whatever_the_file_is_called(tmp_path: Path, container: str, name: str) -> None:
    ran = tmp_path / "ran"
    path = saved(network(Mark(ran).layer()), tmp_path / name, container)
    describe(path)
    ran.unlink()  # building the model ran it
    with pytest.raises(InputError, match=r"has a Lambda layer, which carries code; .* --trust-model-code"):
        load_trained(path)
    assert not ran.exists()


def test_trusted_code_is_run(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    path = saved(network(Mark(ran).layer()), tmp_path / "model.keras", "h5")
    ran.unlink()
    open_keras(path, trust_code=True)
    assert ran.exists()


@pytest.mark.parametrize("container", ["h5", "keras"])
def test_the_container_is_told_by_its_bytes(tmp_path: Path, container: str) -> None:
    model = network()
    path = saved(model, tmp_path / "model.any", container)
    pixels = np.ones((1, 96, 96, 1), np.float32)
    assert np.allclose(open_keras(path)(pixels), model(pixels))


def test_what_train_makes_is_opened(tmp_path: Path) -> None:
    model = build_keypointnet(Network(stem=8, blocks=((8, 2, 1), (8, 2, 1), (8, 2, 1)), head=16, squeeze=8), 15)
    loaded = open_keras(saved(model, tmp_path / "model.keras"))
    assert all(map(np.array_equal, loaded.get_weights(), model.get_weights()))


def test_a_model_with_an_optimizer_is_opened(tmp_path: Path) -> None:
    model = network()
    model.compile("adam", "mse")
    for name in ("model.keras", "other.h5"):
        assert open_keras(saved(model, tmp_path / name)).optimizer is None


def test_functions_that_only_compute_are_taken(tmp_path: Path) -> None:
    pixels = layers.Input((96, 96, 1))
    x = tf.nn.relu(layers.Conv2D(2, 5, 8, activation=keras.activations.swish)(pixels) * 2.0 + 1.0)
    model = keras.Model(pixels, layers.Dense(30)(layers.Flatten()(x)))
    for name in ("model.keras", "other.h5"):
        assert open_keras(saved(model, tmp_path / name)).output_shape == (None, 30)


def test_functions_that_touch_files_are_refused(tmp_path: Path) -> None:
    def write(config: dict[str, Any]) -> dict[str, Any]:
        text = json.dumps(config).replace('"math.multiply"', '"io.write_file"')
        return json.loads(text)  # type: ignore[no-any-return]

    pixels = layers.Input((96, 96, 1))
    model = keras.Model(pixels, layers.Dense(30)(layers.Flatten()(tf.math.multiply(pixels, 2.0))))
    path = changed(saved(model, tmp_path / "model.keras"), write)
    assert refusal(path).startswith(f"{path} calls tf.io.write_file; ")


def first_layer(key: str, value: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Sets a key in the configuration of the first layer that computes."""

    def change(config: dict[str, Any]) -> dict[str, Any]:
        config["config"]["layers"][1]["config"][key] = value
        return config

    return change


SYSTEM = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("activation", SYSTEM, "has the activation 'system'"),
        ("activation", "deserialize", "has the activation 'deserialize'"),
        ("activation", {"class_name": "__lambda__", "config": {"value": "x"}}, "refers to the function"),
        ("kernel_initializer", SYSTEM, "refers to the function 'system'"),
        ("kernel_initializer", {"class_name": "Popen", "module": "subprocess", "config": {}}, "has 'Popen'"),
        ("kernel_initializer", {"class_name": "Zeros", "module": "evil", "config": {}}, "has Zeros of 'evil'"),
        ("kernel_initializer", {"class_name": "Zeros", "registered_name": "a>Zeros", "config": {}}, "of 'a>Zeros'"),
        ("kernel_regularizer", {"class_name": ["Zeros"], "config": {}}, "has \\['Zeros'\\]"),
        ("filters", 10**12, "asks for a layer of size 10000"),
    ],
)
def test_what_a_layer_refers_to_is_looked_at(tmp_path: Path, key: str, value: Any, named: str) -> None:
    path = changed(saved(network(), tmp_path / "model.keras"), first_layer(key, value))
    with pytest.raises(InputError, match=named):
        open_keras(path)


def test_layers_of_ones_own_are_refused_by_name(tmp_path: Path) -> None:
    def rename(config: dict[str, Any]) -> dict[str, Any]:
        return json.loads(json.dumps(config).replace('"Flatten"', '"MyLayer"'))  # type: ignore[no-any-return]

    path = changed(saved(network(), tmp_path / "model.keras"), rename)
    assert refusal(path).startswith(f"{path} has 'MyLayer', which is no known layer of tf-keras; replace it, or add ")


def test_every_layer_that_is_allowed_exists() -> None:
    inner = {"Functional", "TFOpLambda", "SlicingOpLambda", "Model", "Sequential"}
    missing = [name for name in LAYERS - inner if not hasattr(layers, name) and name != "EinsumDense"]
    assert missing == []


@pytest.mark.parametrize("container", ["h5", "keras"])
def test_weights_in_other_files_are_refused(tmp_path: Path, container: str) -> None:
    path = saved(network(), tmp_path / f"model.{container}")
    weights = path if container == "h5" else tmp_path / "model.weights.h5"
    if container == "keras":
        with zipfile.ZipFile(path) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        weights.write_bytes(parts["model.weights.h5"])
    with h5py.File(weights, "r+") as file:
        file["elsewhere"] = h5py.ExternalLink("/etc/hostname", "/")
    if container == "keras":
        parts["model.weights.h5"] = weights.read_bytes()
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content)
    assert refusal(path) == f"{path} links to /etc/hostname; expected weights only"


def test_weights_that_unpack_to_more_than_the_memory_are_refused(tmp_path: Path) -> None:
    path = saved(network(), tmp_path / "model.h5")
    with h5py.File(path, "r+") as file:
        file.create_dataset("bomb", (2**20, 2**20), "f4", chunks=(1024, 1024), compression="gzip")
    assert refusal(path).startswith(f"{path} unpacks to over ")


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    for name in ("model.keras", "model.h5"):
        path = saved(network(), tmp_path / name)
        content = path.read_bytes()
        for length in (0, 4, 8, 100, len(content) // 2, len(content) - 10):
            path.write_bytes(content[:length])
            assert refusal(path).startswith(f"{path} cannot be ")
    shutil.rmtree(tmp_path)
