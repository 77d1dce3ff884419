"""The device part: sources, search, engine, runtime, doctor. Imports no TensorFlow.

Names are imported when they are asked for: the doctor must start where NumPy or OpenCV do not load.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fkp_edge.device.detection.haar import HaarDetector, HaarSettings
    from fkp_edge.device.detection.search import InlineSearch, ThreadedSearch
    from fkp_edge.device.image_detector import ImageDetector
    from fkp_edge.device.runtime import Runtime
    from fkp_edge.device.sources import FakeCamera, open_source
    from fkp_edge.device.tracking.engine import Engine, EngineSettings

__all__ = [
    "Engine",
    "EngineSettings",
    "FakeCamera",
    "HaarDetector",
    "HaarSettings",
    "ImageDetector",
    "InlineSearch",
    "Runtime",
    "ThreadedSearch",
    "open_source",
]

_MODULES = {
    "tracking.engine": ("Engine", "EngineSettings"),
    "detection.haar": ("HaarDetector", "HaarSettings"),
    "runtime": ("Runtime",),
    "detection.search": ("InlineSearch", "ThreadedSearch"),
    "sources": ("FakeCamera", "open_source"),
    "image_detector": ("ImageDetector",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
