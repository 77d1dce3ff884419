"""The model files that ship with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

__all__ = ["find_model", "shipped_model"]


def shipped_model(name: str = "keypoints-int8") -> Path:
    """The path of a shipped model file; wheels are always unpacked, so it is a real file."""
    return Path(str(resources.files(__name__))) / f"{name}.tflite"


def find_model(text: str) -> Path:
    """The model file that a user means: a path, or the name of a shipped one such as keypoints68-int8."""
    path, shipped = Path(text), shipped_model(text.removesuffix(".tflite"))
    return shipped if not path.exists() and path.name == text and shipped.is_file() else path
