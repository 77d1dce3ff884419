"""The device part: sources, search, engine, runtime. Imports no TensorFlow."""

from __future__ import annotations

from fkp_edge.device.engine import Engine, EngineSettings
from fkp_edge.device.haar import HaarDetector, HaarSettings
from fkp_edge.device.runtime import Runtime
from fkp_edge.device.search import InlineSearch, ThreadedSearch
from fkp_edge.device.sources import FakeCamera, open_source
from fkp_edge.device.stills import StillFinder

__all__ = [
    "Engine",
    "EngineSettings",
    "FakeCamera",
    "HaarDetector",
    "HaarSettings",
    "InlineSearch",
    "Runtime",
    "StillFinder",
    "ThreadedSearch",
    "open_source",
]
