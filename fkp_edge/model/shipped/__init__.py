"""The model files that ship with the package."""

from __future__ import annotations

import difflib
from importlib import resources
from pathlib import Path

from fkp_edge.errors import InputError

__all__ = ["DEFAULT_MODEL", "FINDER", "find_model", "shipped_model", "shipped_names"]

DEFAULT_MODEL = "keypoints-int8"
FINDER = "finder-int8"


def shipped_model(name: str = DEFAULT_MODEL) -> Path:
    """The path of a shipped model file; wheels are always unpacked, so it is a real file."""
    return Path(str(resources.files(__name__))) / f"{name}.tflite"


def shipped_names() -> list[str]:
    """The names of the keypoint networks that ship, the default one first."""
    found = sorted(path.stem for path in shipped_model().parent.glob("keypoints*.tflite"))
    return sorted(found, key=lambda name: name != DEFAULT_MODEL)


def find_model(text: str) -> Path:
    """The model file that a user means: a path, or the name of a shipped one such as keypoints68-int8.

    Raises:
        InputError: it is a plain name, without .tflite, of neither a file here nor one that ships.
    """
    path, shipped = Path(text), shipped_model(text.removesuffix(".tflite"))
    if path.exists() or path.name != text:
        return path
    if shipped.is_file():
        return shipped
    if path.suffix == ".tflite":  # a file that is missing, which its reader says
        return path
    near = difflib.get_close_matches(text, shipped_names(), n=1, cutoff=0.6)
    meant = f"did you mean {near[0]}? " if near else ""
    raise InputError(
        f"model {text!r} is no file here and no model that ships; {meant}expected a .tflite file or "
        f"one of {', '.join(shipped_names())} (fkp-edge models says what each is)"
    )
