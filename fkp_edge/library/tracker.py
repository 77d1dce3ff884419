"""Faces followed through frames of the caller's own."""

from __future__ import annotations

import math
import time
from typing import Any, TypeVar

import msgspec

from fkp_edge.core.files import Closing
from fkp_edge.core.keypoints import Schema
from fkp_edge.core.observation import Frame, Observation
from fkp_edge.core.settings import Settings, parse_settings
from fkp_edge.device.detection.search import SearchSettings, open_search
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.engine import Engine, EngineSettings
from fkp_edge.device.tracking.pose import MeasureSettings
from fkp_edge.device.tracking.smoothing import SmoothingSettings
from fkp_edge.errors import InputError
from fkp_edge.library.inputs import Colors, ModelLike, Picture, as_frame, check_colors, load, to_grey
from fkp_edge.library.results import TrackResult, as_face

__all__ = ["Tracker", "as_result", "chosen", "switched"]

LONGEST_S = 1e9
"""About 30 years: what nanoseconds in 64 bits hold with room to spare."""


class Tracker(Closing):
    """Follows faces through frames that you give it: call it with each frame, in order.

    A face is searched for in the whole frame once; then the network goes on from its last points, which is many times
    quicker. Close it, or use it in a `with` block. For one thread at a time.

    >>> import fkp_edge as fkp
    >>> frame = fkp.demo_picture()
    >>> with fkp.Tracker(max_faces=2) as tracker:
    ...     for number in range(3):
    ...         result = tracker(frame, time_s=number / 30)
    ...         print(result.state, [face.id for face in result])
    tracking [1]
    tracking [1]
    tracking [1]
    """

    def __init__(
        self,
        model: ModelLike = "keypoints-int8",
        *,
        max_faces: int | None = None,
        smoothing: SmoothingSettings | bool = True,
        tracking: EngineSettings | None = None,
        search: SearchSettings | None = None,
        measures: MeasureSettings | bool = False,
        colors: Colors = "bgr",
        live: bool = False,
        threads: int = 1,
    ) -> None:
        """Opens the model.

        Args:
            model: the name of a shipped model, the path of a .tflite file, or what `load` gave.
            max_faces: faces followed at a time, 1 to 4; instead of `tracking`'s, which says 1.
            smoothing: steadies points over time; False gives them as the network does.
            tracking: when a face counts as found, kept and lost.
            search: how whole frames are searched.
            measures: whether each face comes with `measures` and `position`; settings say more, such as the camera's
                field of view.
            colors: order of the channels of your frames, `bgr` as OpenCV has it or `rgb`.
            live: search in a thread beside the frames, so that no call waits for it: for a camera on a small board. The
                first faces then come some frames later, and results depend on the clock.
            threads: CPU threads of the network.

        Raises:
            InputError: a setting is out of range.
            ModelFileError: the file is no model.
        """
        check_colors(colors)
        self._colors: Colors = colors
        tracking = chosen(tracking, EngineSettings, max_faces=max_faces)
        search = chosen(search, SearchSettings)
        self._model = load(model, threads=threads)
        self._live = live
        times = StageTimes()
        self._search = open_search(search, times, live=live, has_score=self._model.has_score)
        self._engine = Engine(
            self._model,
            self._search,
            tracking,
            switched(smoothing, SmoothingSettings),
            measures=switched(measures, MeasureSettings),
            times=times,
        )
        self._sequence = 0
        self._closed = False

    def __call__(self, frame: Picture, *, time_s: float | None = None) -> TrackResult:
        """What is seen in `frame`, given the frames before it.

        Args:
            frame: (H, W), (H, W, 3) or (H, W, 4) uint8; neither changed nor, but for `TrackResult.picture`, kept.
            time_s: when it was taken, seconds on any clock that goes on: `number / rate` for a video file; now where
                None. Smoothing, and how long a face is held, go by it.

        Raises:
            InputError: the frame is no picture, the time no time, or the tracker closed.
        """
        if self._closed:
            raise InputError("this Tracker is closed; make another one")
        picture = as_frame(frame)
        grey = to_grey(picture, self._colors)
        if self._live and (picture.ndim == 2 or picture.shape[2] == 1):
            grey = grey.copy()  # the search may still read it when the caller writes to it
        captured_ns = time.monotonic_ns() if time_s is None else _nanoseconds(time_s)
        observation = self._engine.process(Frame(grey, captured_ns, self._sequence))
        self._sequence += 1
        return as_result(observation, picture, self._model.schema, self._colors)

    @property
    def names(self) -> tuple[str, ...]:
        """Of the K points of each face. Left and right are the subject's."""
        return self._model.schema.names

    def close(self) -> None:
        """Ends the search; twice is fine."""
        self._closed = True
        self._search.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"open, {self._sequence} frames"
        return f"<Tracker {self._model.file.path.stem}, {state}>"


def as_result(observation: Observation, picture: Picture, schema: Schema, colors: Colors) -> TrackResult:
    """What the engine saw, as users get it."""
    faces = tuple([as_face(face, schema) for face in observation.faces])
    return TrackResult(
        faces,
        picture,
        schema,
        colors,
        observation.state.value,
        observation.captured_ns / 1e9,
        observation.sequence,
        observation.dropped,
    )


def chosen(given: Any, kind: type[Settings], **keywords: Any) -> Any:
    """`given`, a `kind` or None for its defaults, with `keywords` that are not None in place of its own, checked.

    Raises:
        InputError: a value is out of range.
    """
    if given is not None and not isinstance(given, kind):
        raise InputError(f"{given!r} is of type {type(given).__name__}; expected a {kind.__name__}, or None")
    values = msgspec.to_builtins(given or kind()) | {key: value for key, value in keywords.items() if value is not None}
    return parse_settings(values, kind, kind.__name__)


S = TypeVar("S", SmoothingSettings, MeasureSettings)


def switched(given: S | bool, kind: type[S]) -> S:
    """Settings of a `kind` for what may be just yes or no.

    Raises:
        InputError: a value is out of range.
    """
    if isinstance(given, bool):
        return kind(enabled=given)
    settings: S = chosen(given, kind)
    return settings


def _nanoseconds(time_s: float) -> int:
    try:
        seconds = float(time_s)
    except (TypeError, ValueError):
        seconds = math.nan
    if not abs(seconds) <= LONGEST_S:
        raise InputError(f"time_s={time_s!r} is no time in seconds; expected a number such as 1.5, or None for now")
    return round(seconds * 1e9)
