"""The model files that ship with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

__all__ = ["shipped_model"]


def shipped_model(name: str = "keypoints-int8") -> Path:
    """The path of a shipped model file; wheels are always unpacked, so it is a real file."""
    return Path(str(resources.files(__name__))) / f"{name}.tflite"
