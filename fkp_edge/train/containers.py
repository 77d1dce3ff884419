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
from fkp_edge.train.inspection import checked_config

__all__ = ["check_hdf5", "open_keras"]

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
