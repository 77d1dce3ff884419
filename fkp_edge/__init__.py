"""Face keypoints for small boards: 15 or 68 named points of each face, found, followed and streamed.

    import fkp_edge as fkp

    for face in fkp.find("group.jpg"):                # a path, bytes, or a BGR, RGB or grey array
        print(face.score, face["nose_tip"], face.pose.yaw)

    tracker = fkp.Tracker(max_faces=2)                # for frames of your own
    result = tracker(frame)
    cv2.imshow("faces", result.draw())

    for result in fkp.track("picamera"):              # a camera, video or URL, supervised; stops when you do
        print(result.state, len(result))

    fkp.run(fkp.RunConfig(source="demo"))             # what the command `fkp-edge run` does
    for message in fkp.connect("tcp://raspberrypi:8765"):
        print(message)

`load`, `verify`, `evaluate` and `benchmark` are about model files; `train` and `convert` make them, on a desktop.
Points, boxes and sizes are in pixels, (x, y) with integers at pixel centres; times are in seconds, angles in degrees.
Every error is a `FkpEdgeError` whose text is one line: what was given, what was expected, what to do.

What you may rely on is what `__all__` names. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

TYPE_CHECKING = False  # for checkers, who take it for typing's; that module is most of what this import would cost
if TYPE_CHECKING:
    from typing import Any

    from fkp_edge.app.config import RunConfig
    from fkp_edge.core.measures import Measures
    from fkp_edge.core.observation import Position
    from fkp_edge.device.detection.search import SearchSettings
    from fkp_edge.device.runtime import SupervisionSettings
    from fkp_edge.device.sources import CameraSettings
    from fkp_edge.device.tracking.engine import EngineSettings
    from fkp_edge.device.tracking.pose import MeasureSettings
    from fkp_edge.device.tracking.smoothing import SmoothingSettings
    from fkp_edge.errors import (
        AcceleratorError,
        FkpEdgeError,
        InputError,
        MissingPartError,
        ModelFileError,
        SourceError,
        StreamError,
    )
    from fkp_edge.library.find import demo_picture, find
    from fkp_edge.library.inputs import load
    from fkp_edge.library.judging import Accuracy, Measurement, benchmark, evaluate, verify
    from fkp_edge.library.making import Conversion, Training, convert, train
    from fkp_edge.library.results import Face, Pose, Result, TrackResult
    from fkp_edge.library.run import Results, run, track
    from fkp_edge.library.tracker import Tracker
    from fkp_edge.model.interpreter import KeypointModel
    from fkp_edge.model.verify import Verification
    from fkp_edge.stream.client.connection import Connection, connect
    from fkp_edge.stream.protocol.messages import Hello, ObservationMessage

__version__ = "0.1.0"
__all__ = [
    "AcceleratorError",
    "Accuracy",
    "CameraSettings",
    "Connection",
    "Conversion",
    "EngineSettings",
    "Face",
    "FkpEdgeError",
    "Hello",
    "InputError",
    "KeypointModel",
    "MeasureSettings",
    "Measurement",
    "Measures",
    "MissingPartError",
    "ModelFileError",
    "ObservationMessage",
    "Pose",
    "Position",
    "Result",
    "Results",
    "RunConfig",
    "SearchSettings",
    "SmoothingSettings",
    "SourceError",
    "StreamError",
    "SupervisionSettings",
    "TrackResult",
    "Tracker",
    "Training",
    "Verification",
    "__version__",
    "benchmark",
    "connect",
    "convert",
    "demo_picture",
    "evaluate",
    "find",
    "load",
    "run",
    "track",
    "train",
    "verify",
]

_PLACES = {
    "app.config": "RunConfig",
    "core.measures": "Measures",
    "core.observation": "Position",
    "device.detection.search": "SearchSettings",
    "device.runtime": "SupervisionSettings",
    "device.sources": "CameraSettings",
    "device.tracking.engine": "EngineSettings",
    "device.tracking.pose": "MeasureSettings",
    "device.tracking.smoothing": "SmoothingSettings",
    "errors": "AcceleratorError FkpEdgeError InputError MissingPartError ModelFileError SourceError StreamError",
    "library.find": "demo_picture find",
    "library.judging": "Accuracy Measurement benchmark evaluate verify",
    "library.making": "Conversion Training convert train",
    "library.inputs": "load",
    "library.results": "Face Pose Result TrackResult",
    "library.run": "Results run track",
    "library.tracker": "Tracker",
    "model.interpreter": "KeypointModel",
    "model.verify": "Verification",
    "stream.client.connection": "Connection connect",
    "stream.protocol.messages": "Hello ObservationMessage",
}
"""Where the public names stand, as checkers read above; a test compares."""
_PLACE_OF = {name: place for place, names in _PLACES.items() for name in names.split()}


class _Library(ModuleType):
    """Keeps `train` and `convert` the functions: the import of the packages of these names would replace them."""

    def __setattr__(self, name: str, value: Any) -> None:
        if not (name in _PLACE_OF and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


def __getattr__(name: str) -> Any:
    if name not in _PLACE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_PLACE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__doc__", "__file__", "__name__", "__path__"]


sys.modules[__name__].__class__ = _Library
