"""Model files of tf-keras: told by their bytes, inspected, and opened from a copy that holds what was inspected."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO

import numpy as np

from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.errors import InputError
from fkp_edge.train.backend import h5py, keras

__all__ = ["ACTIVATIONS", "LAYERS", "check_hdf5", "checked_config", "open_keras"]

LAYERS = frozenset(
    # models and what joins tensors
    "Functional Model Sequential InputLayer Add Average Concatenate Dot Maximum Minimum Multiply Subtract "
    # arithmetic
    "Conv1D Conv2D Conv2DTranspose Convolution2D DepthwiseConv2D Dense EinsumDense SeparableConv2D "
    "SeparableConvolution2D Attention MultiHeadAttention "
    # activations
    "Activation ELU LeakyReLU PReLU ReLU Softmax ThresholdedReLU "
    # normalisation
    "BatchNormalization GroupNormalization LayerNormalization Normalization UnitNormalization Rescaling "
    # pooling
    "AveragePooling2D AvgPool2D GlobalAveragePooling1D GlobalAveragePooling2D GlobalAvgPool2D GlobalMaxPool2D "
    "GlobalMaxPooling2D MaxPool2D MaxPooling2D "
    # shapes
    "CenterCrop Cropping2D Flatten Permute RepeatVector Reshape Resizing UpSampling2D ZeroPadding2D "
    # what acts in training alone
    "ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise SpatialDropout2D RandomBrightness "
    "RandomContrast RandomCrop RandomFlip RandomRotation RandomTranslation RandomZoom "
    # tf.* functions that stand between layers; which ones, see FUNCTIONS
    "TFOpLambda SlicingOpLambda".split()
)
ACTIVATIONS = frozenset(
    "elu exponential gelu hard_sigmoid leaky_relu linear mish relu relu6 selu sigmoid silu softmax softplus "
    "softsign swish tanh".split()
)
FUNCTIONS = frozenset(
    "__operators__.add __operators__.getitem cast clip_by_value concat expand_dims image.resize math.abs math.add "
    "math.divide math.maximum math.minimum math.multiply math.negative math.reduce_max math.reduce_mean "
    "math.reduce_min math.reduce_sum math.rsqrt math.sigmoid math.sqrt math.square math.subtract math.tanh "
    "math.truediv nn.avg_pool nn.bias_add nn.elu nn.leaky_relu nn.max_pool nn.relu nn.relu6 nn.sigmoid nn.silu "
    "nn.softmax nn.tanh pad reshape split squeeze stack transpose unstack".split()
)
"""Functions of TensorFlow that only compute: none reads or writes a file, prints, or calls Python."""
PARTS = frozenset(
    # initialisers
    "Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones Orthogonal "
    "RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros "
    # regularisers and constraints
    "L1 L1L2 L2 OrthogonalRegularizer MaxNorm MinMaxNorm NonNeg RadialConstraint UnitNorm "
    # number formats and shapes
    "Policy TensorShape __tuple__".split()
)
FUNCTION_PARTS = ("function", "__lambda__")
MAX_NUMBER = 10**7
"""Beyond it no size of a layer is meant; it would only fill the memory."""
WAY_ROUND = "or add --trust-model-code if you trust who made the file"


def checked_config(config: Any, name: str) -> Any:
    """`config` without what compiles and trains, every layer in it known; `name` is the file's, for errors.

    What it returns is what may be built: nothing else of the file's own text goes on.

    Raises:
        InputError: it names a Lambda, a layer or object that is not tf-keras's own, a function, or a size that fills
            the memory.
    """
    if isinstance(config, list):
        return [checked_config(part, name) for part in config]
    if isinstance(config, int) and abs(config) > MAX_NUMBER:
        raise InputError(f"{name} asks for a layer of size {config!s:.20}, expected at most {MAX_NUMBER:.0e}")
    if not isinstance(config, dict):
        return config
    if "class_name" in config:
        _check_class(config, name)
    return {
        key: _activation(value, name) if key.endswith("activation") else checked_config(value, name)
        for key, value in config.items()
        if key not in {"compile_config", "training_config"}
    }


def _check_class(config: dict[str, Any], name: str) -> None:
    kind = config["class_name"]
    if kind == "Lambda":
        raise InputError(
            f"{name} has a Lambda layer, which carries code; replace it by layers of tf-keras, {WAY_ROUND}"
        )
    if kind in FUNCTION_PARTS:
        raise InputError(
            f"{name} refers to the function {config.get('config')!r:.60}; replace it by layers of tf-keras, {WAY_ROUND}"
        )
    if not isinstance(kind, str) or kind not in LAYERS | PARTS:
        raise InputError(f"{name} has {kind!r:.60}, which is no known layer of tf-keras; replace it, {WAY_ROUND}")
    module, registered = config.get("module"), config.get("registered_name")
    own = module is None or (isinstance(module, str) and module.split(".")[0] in {"keras", "tf_keras"})
    if not own or registered not in (None, kind):
        raise InputError(
            f"{name} has {kind} of {module or registered!r:.60}, expected tf-keras's own; replace it, {WAY_ROUND}"
        )
    inner = config.get("config")
    if kind.endswith("OpLambda"):
        function = inner.get("function") if isinstance(inner, dict) else None
        if function not in FUNCTIONS:
            raise InputError(f"{name} calls tf.{function!s:.60}; replace it by layers of tf-keras, {WAY_ROUND}")


def _activation(value: Any, name: str) -> Any:
    """An activation by its name, or as a layer."""
    if isinstance(value, dict) and value.get("class_name") == "function":
        value = value.get("config")  # as Keras writes its own functions
        value = value if isinstance(value, str) else repr(value)
    if isinstance(value, str) and value not in ACTIVATIONS:
        raise InputError(
            f"{name} has the activation {value[:60]!r}, which is not tf-keras's own; replace it, {WAY_ROUND}"
        )
    return checked_config(value, name)


HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"
MAX_CONFIG_BYTES = 2**24
MAX_WEIGHTS_BYTES = 2**31
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"


def open_keras(path: Path, *, trust_code: bool = False, size: tuple[int, int] = (CROP_SIZE, CROP_SIZE)) -> keras.Model:
    """The tf-keras model in `path`, a zip (.keras) or HDF5 whatever its name, with finite weights and the input asked.

    Args:
        path: the file.
        size: width and height of the grey pictures that it has to take.
        trust_code: builds it though it carries code: Lambda layers, functions, classes of somebody's own.

    Raises:
        InputError: it is missing, damaged, carries code that is not trusted, or does not take such pictures.
    """
    with TemporaryDirectory(prefix="fkp-edge-model-") as folder:
        copy = path if trust_code else _checked_copy(path, Path(folder))
        try:
            model = keras.models.load_model(copy, compile=False, safe_mode=not trust_code)
        except InputError:
            raise
        except Exception as error:  # whatever a damaged file raises in layers that are built from it
            reason = (str(error).splitlines() or [type(error).__name__])[0][:200]
            reason = reason.replace(str(copy), str(path))
            raise InputError(
                f"{path} cannot be loaded as a tf-keras model: {reason}; expected its own layers only"
            ) from error
    shapes = [tuple(tensor.shape[1:]) for tensor in model.inputs or ()]
    if shapes != [(size[1], size[0], 1)]:
        raise InputError(f"{path} takes {shapes}, expected one input ({size[1]}, {size[0]}, 1)")
    if any(not np.isfinite(weight).all() for weight in model.get_weights()):
        raise InputError(f"{path} has weights that are not finite; train it again with a lower learning rate")
    return model


def _checked_copy(path: Path, folder: Path) -> Path:
    """A copy in `folder` of what was inspected and nothing else: what is checked is what is built."""
    try:
        with path.open("rb") as file:
            start = file.read(len(HDF5))
        if start == HDF5:
            return _checked_hdf5(path, folder / "model.h5")
        if start.startswith(ZIP):
            return _checked_zip(path, folder / "model.keras")
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} does not exist; expected a .keras or .h5 file") from None
    except (OSError, KeyError, ValueError, RecursionError, RuntimeError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} cannot be read as a tf-keras model ({error}); expected .keras or .h5") from error
    raise InputError(f"{path} cannot be read as a tf-keras model (it starts {start!r}); expected .keras or .h5")


def _checked_zip(path: Path, copy: Path) -> Path:
    with zipfile.ZipFile(path) as archive:
        metadata = json.loads(_member(archive, METADATA, path))
        config = json.loads(_member(archive, CONFIG, path))
        _check_version(path, metadata.get("keras_version") if isinstance(metadata, dict) else None)
        config = checked_config(config, str(path))
        weights = copy.with_name(WEIGHTS)
        with archive.open(WEIGHTS) as source, weights.open("wb") as target:
            _copy_bounded(source, target, path)
    check_hdf5(weights, str(path))
    with zipfile.ZipFile(copy, "w") as made:
        made.writestr(METADATA, json.dumps({"keras_version": keras.__version__, "date_saved": ""}))
        made.writestr(CONFIG, json.dumps(config))
        made.write(weights, WEIGHTS)
    weights.unlink()
    return copy


def _member(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    with archive.open(name) as file:
        content = file.read(MAX_CONFIG_BYTES + 1)
    if len(content) > MAX_CONFIG_BYTES:
        raise InputError(f"{path}: its {name} unpacks to over {MAX_CONFIG_BYTES} bytes")
    return content


def _copy_bounded(source: Any, target: BinaryIO, path: Path) -> None:
    left = MAX_WEIGHTS_BYTES
    while piece := source.read(2**20):
        left -= len(piece)
        if left < 0:
            raise InputError(f"{path} unpacks to over {MAX_WEIGHTS_BYTES} bytes of weights; expected a smaller network")
        target.write(piece)


def _checked_hdf5(path: Path, copy: Path) -> Path:
    if path.stat().st_size > MAX_WEIGHTS_BYTES:
        raise InputError(f"{path} has over {MAX_WEIGHTS_BYTES} bytes; expected a smaller network")
    shutil.copyfile(path, copy)
    check_hdf5(copy, str(path))
    with h5py.File(copy, "r+") as file:
        _check_version(path, file.attrs.get("keras_version"))
        text = file.attrs["model_config"]
        if len(text) > MAX_CONFIG_BYTES:
            raise InputError(f"{path}: its model_config has over {MAX_CONFIG_BYTES} bytes")
        file.attrs["model_config"] = json.dumps(checked_config(json.loads(text), str(path)))
        if "training_config" in file.attrs:
            del file.attrs["training_config"]
    return copy


def check_hdf5(path: Path, name: str) -> None:
    """Refuses an HDF5 file that reads other files, or unpacks to more than the memory holds.

    Raises:
        InputError: it does; `name` is what the error calls it.
        OSError: it is no HDF5 file, or damaged.
    """
    with h5py.File(path, "r") as file:
        waiting, seen, size = [file["/"]], set(), 0
        while waiting:
            group = waiting.pop()
            for key in group:
                link = group.get(key, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    raise InputError(f"{name} links to {getattr(link, 'filename', link.path)}; expected weights only")
                part = group[key]
                address = h5py.h5o.get_info(part.id).addr
                if address in seen:
                    continue
                seen.add(address)
                if isinstance(part, h5py.Group):
                    waiting.append(part)
                elif isinstance(part, h5py.Dataset):
                    if part.external or part.is_virtual:
                        raise InputError(f"{name} keeps {key} in other files; expected all weights inside")
                    size += part.nbytes
                    if size > MAX_WEIGHTS_BYTES:
                        raise InputError(f"{name} unpacks to over {MAX_WEIGHTS_BYTES} bytes of weights")


def _check_version(path: Path, version: object) -> None:
    if str(version or "").startswith("3"):
        raise InputError(f"{path} is of Keras {version}, expected tf-keras; export() it and convert that folder")
