"""Networks that were not trained here: what is taken, what is refused, and that their points come out in crop units."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tensorflow_model_optimization", reason="needs fkp-edge[convert]")

from fkp_edge.convert.cards import keypoint_model
from fkp_edge.convert.load import Network, load_network
from fkp_edge.convert.quantize import to_float
from fkp_edge.convert.recipe import Foreign
from fkp_edge.core.keypoints import FKP15
from fkp_edge.errors import InputError
from fkp_edge.train.backend import keras, tf

layers = keras.layers
CROP = np.random.default_rng(0).integers(0, 256, (96, 96)).astype(np.uint8)


def network(*more: keras.layers.Layer, outputs: int = 30) -> keras.Model:
    """A sequential network as tutorials build it."""
    keras.utils.set_random_seed(1)
    shape = (96, 96, 1)
    first = [layers.Conv2D(4, 5, 4, activation="relu", input_shape=shape), layers.MaxPooling2D(4), *more]
    return keras.Sequential([*first, layers.Flatten(), layers.Dense(outputs)])


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    def save(model: keras.Model, name: str = "mine.h5") -> Path:
        path = tmp_path / name
        if name.endswith(".h5"):
            with pytest.warns(UserWarning, match="HDF5"):
                model.save(path)
        else:
            model.save(path)
        return path

    return save


def refusal(path: Path, foreign: Foreign | None = None) -> str:
    with pytest.raises(InputError) as caught:
        load_network(path, foreign or Foreign())
    return str(caught.value)


def units_of(loaded: Network) -> np.ndarray:
    """What the network's float flatbuffer says of `CROP`."""
    return keypoint_model(loaded, to_float(loaded)).predict(CROP)[0]


@pytest.mark.parametrize("name", ["mine.h5", "mine.keras"])
@pytest.mark.parametrize(
    ("pixels", "seen"), [("0..255", CROP / 1.0), ("0..1", CROP / 255), ("-1..1", CROP / 127.5 - 1)]
)
@pytest.mark.parametrize(
    ("points", "to_units"),
    [
        ("offsets", lambda out: out + FKP15.mean_shape),
        ("units", lambda out: out),
        ("pixels", lambda out: (out + 0.5) / 96),
        ("centred", lambda out: (out * 48 + 48 + 0.5) / 96),
    ],
)
def test_points_come_out_in_crop_units(saved, name: str, pixels: str, seen: np.ndarray, points: str, to_units):
    model = network()
    out = np.array(model(seen[None, ..., None].astype(np.float32))).reshape(15, 2)
    loaded = load_network(saved(model, name), Foreign(pixels=pixels, points=points))
    np.testing.assert_allclose(units_of(loaded), to_units(out), rtol=1e-4, atol=1e-4)


def test_a_score_is_found_by_its_size(saved):
    body = network()
    score = layers.Dense(1, activation="sigmoid", name="is_face")(body.layers[-2].output)
    loaded = load_network(saved(keras.Model(body.inputs, [score, body.output])), Foreign())
    assert loaded.described["has_score"]
    assert keypoint_model(loaded, to_float(loaded)).has_score


def test_68_points_are_known(saved):
    assert load_network(saved(network(outputs=136)), Foreign()).schema.name == "ibug68"


def test_a_saved_model_gives_what_the_network_gives(saved, tmp_path: Path):
    model = network()
    module = tf.Module()
    module.model = model
    served = tf.function(lambda image: {"output_0": model(image)}).get_concrete_function(
        tf.TensorSpec((None, 96, 96, 1), tf.float32, name="image")
    )
    tf.saved_model.save(module, str(tmp_path / "exported"), signatures=served)
    foreign = Foreign(pixels="0..1", points="centred")
    exported, direct = (load_network(path, foreign) for path in (tmp_path / "exported", saved(model)))
    assert exported.model is None
    np.testing.assert_allclose(units_of(exported), units_of(direct), rtol=1e-5, atol=1e-5)


def test_other_outputs_are_refused(saved):
    path = saved(network(outputs=12))
    assert refusal(path) == f"{path} gives outputs of [12] values, expected 30 or 136 coordinates, at most one score"


def test_other_inputs_are_refused(saved):
    path = saved(keras.Sequential([layers.Flatten(input_shape=(64, 64, 1)), layers.Dense(30)]))
    assert refusal(path) == f"{path} takes [(64, 64, 1)], expected one input (96, 96, 1)"


def test_weights_that_are_not_finite_are_refused(saved):
    model = network()
    model.layers[0].set_weights([w * np.nan for w in model.layers[0].get_weights()])
    assert "has weights that are not finite" in refusal(saved(model))


@pytest.mark.parametrize("name", ["mine.h5", "mine.keras"])
def test_code_in_a_file_is_not_run(saved, tmp_path: Path, name: str):
    ran = tmp_path / "ran"
    path = saved(network(layers.Lambda(lambda x: x)), name)
    assert refusal(path).startswith(f"{path} has a Lambda layer, which carries code; replace it by layers of tf-keras")
    assert not ran.exists()


def test_layers_of_ones_own_are_named(saved, tmp_path: Path):
    path = saved(network(), "mine.keras")
    other = tmp_path / "other.keras"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                content = content.replace(b'"MaxPooling2D"', b'"MyPooling"')
            new.writestr(name, content)
    assert "MyPooling" in refusal(other)


def test_keras_3_is_told_the_way(tmp_path: Path):
    path = tmp_path / "three.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("metadata.json", json.dumps({"keras_version": "3.5.0"}))
    assert refusal(path) == f"{path} is of Keras 3.5.0, expected tf-keras; export() it and convert that folder"


@pytest.mark.parametrize("name", ["mine.h5", "mine.keras"])
def test_a_damaged_file_is_refused(tmp_path: Path, name: str):
    path = tmp_path / name
    path.write_text("not a model")
    assert refusal(path).startswith(f"{path} cannot be read as a tf-keras model (")


def test_another_kind_of_file_is_refused(tmp_path: Path):
    path = tmp_path / "mine.onnx"
    path.touch()
    assert refusal(path) == f"{path}: expected a .keras or .h5 file of tf-keras, or the folder of a SavedModel"


def test_a_missing_file_is_refused(tmp_path: Path):
    path = tmp_path / "none.h5"
    assert refusal(path) == f"{path} does not exist; expected a .keras or .h5 file, or the folder of a SavedModel"


def test_a_folder_without_a_saved_model_is_refused(tmp_path: Path):
    assert refusal(tmp_path).startswith(f"{tmp_path} has no saved_model.pb; expected a SavedModel's folder")


def test_a_damaged_saved_model_is_refused(tmp_path: Path):
    (tmp_path / "saved_model.pb").write_text("no")
    assert refusal(tmp_path).startswith(f"{tmp_path} cannot be loaded as a SavedModel: ")


KERAS_3 = """
import sys, keras, numpy as np
layers = keras.layers
model = keras.Sequential([
    keras.Input((96, 96, 1)),
    layers.Conv2D(4, 5, 4, activation="relu"),
    layers.GlobalAveragePooling2D(),
    layers.Dense(30),
])
assert keras.__version__.startswith("3")
model.export(sys.argv[1])
crop = np.load(sys.argv[2])[None, ..., None].astype(np.float32)
np.save(sys.argv[3], np.asarray(model(crop)))
"""


def test_what_keras_3_exports_gives_what_keras_3_gave(tmp_path: Path):
    np.save(tmp_path / "crop.npy", CROP)
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    arguments = [str(tmp_path / name) for name in ("exported", "crop.npy", "out.npy")]
    subprocess.run([sys.executable, "-c", KERAS_3, *arguments], env=environment, check=True, capture_output=True)
    loaded = load_network(tmp_path / "exported", Foreign(points="units"))
    expected = np.load(tmp_path / "out.npy").reshape(15, 2)
    np.testing.assert_allclose(units_of(loaded), expected, rtol=1e-4, atol=1e-4)
