"""The main job from Python, and faces followed through a camera, a video or the demo."""

from __future__ import annotations

import contextlib
import logging
from collections import deque
from contextlib import ExitStack
from functools import partial
from os import PathLike, fspath
from typing import Any, Self

from fkp_edge.app.config import RunConfig
from fkp_edge.core.files import Closing
from fkp_edge.core.keypoints import Schema
from fkp_edge.core.observation import Frame, Observation, State
from fkp_edge.device.detection.search import SearchSettings, open_search
from fkp_edge.device.runtime import Runtime, SupervisionSettings
from fkp_edge.device.sources import (
    CameraSettings,
    field_of_view,
    lasting_source,
    open_source,
    reopens,
    resolve_source,
)
from fkp_edge.device.summary import Summary
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.engine import Engine, EngineSettings
from fkp_edge.device.tracking.pose import MeasureSettings
from fkp_edge.device.tracking.smoothing import SmoothingSettings
from fkp_edge.errors import InputError
from fkp_edge.library.inputs import ModelLike, Picture, load
from fkp_edge.library.results import TrackResult
from fkp_edge.library.tracker import as_result, chosen, switched

__all__ = ["Results", "run", "track"]

Seen = deque[tuple[Frame | None, Observation]]


class Results(Closing):
    """The results of a source, one a frame: iterate over it. It ends with the source; closed, it closes the source.

    A `for` loop that is left closes it, too. Frames that a camera takes while the program is busy are skipped, and
    counted in `TrackResult.dropped`; of recordings none is. A camera that fails is opened again: meanwhile results of
    the state `no_camera` come about once a second, with the last frame and no faces.

    >>> import fkp_edge as fkp
    >>> with fkp.track("demo") as results:
    ...     result = next(results)
    >>> result.state, result.picture.shape
    ('tracking', (480, 640))
    """

    def __init__(self, runtime: Runtime, seen: Seen, schema: Schema, not_begun: ExitStack, opened: ExitStack) -> None:
        """Made by `track`."""
        self._runtime = runtime
        self._turns = runtime.turns()
        self._seen = seen
        self._schema = schema
        self._not_begun = not_begun
        self._opened = opened
        self._picture: Picture | None = None
        self._closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> TrackResult:
        while True:
            while self._seen:
                frame, observation = self._seen.popleft()
                if frame is not None:
                    self._picture = frame.grey
                elif observation.state is not State.NO_CAMERA:
                    continue  # the last one again: a slow camera
                if self._picture is not None:
                    return as_result(observation, self._picture, self._schema, "bgr")
            if self._closed:
                raise StopIteration
            self._not_begun.pop_all()  # from here on the runtime alone knows whether the source may be closed
            try:
                next(self._turns)
            except BaseException:  # its end, its failure, or Ctrl-C
                self.close()
                raise

    def close(self) -> None:
        """Closes the source; twice is fine."""
        if self._closed:
            return
        self._closed = True
        self._runtime.stop()
        with contextlib.suppress(ValueError):  # another thread is in it, and ends it
            self._turns.close()
        self._not_begun.close()
        self._opened.close()

    def __del__(self) -> None:
        with contextlib.suppress(Exception):  # at the interpreter's end little is left
            self.close()

    def __repr__(self) -> str:
        return f"<Results {'closed' if self._closed else 'open'}>"


def track(
    source: str | PathLike[str] = "auto",
    *,
    model: ModelLike = "keypoints-int8",
    max_faces: int | None = None,
    smoothing: SmoothingSettings | bool = True,
    tracking: EngineSettings | None = None,
    search: SearchSettings | None = None,
    measures: MeasureSettings | bool = False,
    camera: CameraSettings | None = None,
    supervision: SupervisionSettings | None = None,
    fast: bool = True,
    threads: int = 1,
) -> Results:
    """Follows faces through a source: an iterator of results, one a frame, that stops when you do.

    Cameras are supervised as `fkp-edge run` does it: what stalls or fails is opened again.

    Args:
        source: what `fkp-edge run --source` takes: `picamera`, `v4l2:0`, a video file, a folder of pictures, a URL,
            `demo`; `auto` is the Pi camera, else a USB camera, else the demo.
        model: the name of a shipped model, the path of a .tflite file, or what `load` gave.
        max_faces: faces followed at a time, 1 to 4; instead of `tracking`'s, which says 1.
        smoothing: steadies points over time; False gives them as the network does.
        tracking: when a face counts as found, kept and lost.
        search: how whole frames are searched.
        measures: whether each face comes with `measures` and `position`; settings say more, such as the camera's field
            of view.
        camera: what a camera is asked for: size and rate.
        supervision: when a camera counts as gone, and how often it is opened again.
        fast: recordings and the demo come as fast as you take them; False: at their own speed.
        threads: CPU threads of the network.

    Returns:
        A `Results`: an iterator of `TrackResult`, with `close`. Pictures are grey, (H, W) uint8.

    Raises:
        InputError: `source` names nothing, or a setting is out of range.
        SourceError: the camera or video cannot be opened; from the iterator: a recording is damaged.
        ModelFileError: the file is no model.

    >>> import fkp_edge as fkp
    >>> for result in fkp.track("demo"):
    ...     if len(result):
    ...         print(result.state, len(result[0].points))
    ...         break
    tracking 15
    """
    name = fspath(source)
    tracking = chosen(tracking, EngineSettings, max_faces=max_faces)
    search = chosen(search, SearchSettings)
    camera = chosen(camera, CameraSettings)
    supervision = chosen(supervision, SupervisionSettings)
    steady, measuring = switched(smoothing, SmoothingSettings), switched(measures, MeasureSettings)
    network = load(model, threads=threads)
    opens = partial(open_source, lasting_source(resolve_source(name)), pace=not fast, camera=camera)
    times = StageTimes()
    seen: Seen = deque()
    with ExitStack() as opening:
        opened = opens()
        opening.callback(opened.close)
        searching = open_search(search, times, live=opened.live, has_score=network.has_score)
        closing = ExitStack()
        closing.callback(searching.close)
        measuring = measuring.of_camera(field_of_view(opened))
        engine = Engine(network, searching, tracking, steady, measures=measuring, times=times)
        again = opens if reopens(opened) else None
        runtime = Runtime(opened, engine, [lambda *item: seen.append(item)], reopen=again, settings=supervision)
        return Results(runtime, seen, network.schema, opening.pop_all(), closing)


_log = logging.getLogger(__name__)


def run(config: RunConfig | None = None, **options: Any) -> dict[str, Any]:
    """Camera or recording -> keypoints on sockets, as `fkp-edge run` does it, until the source ends.

    In the main thread Ctrl-C and SIGTERM end it cleanly, too. Where frames come from and where observations go is
    logged, at the level INFO.

    Args:
        config: what to run; its defaults where None.
        options: fields of `RunConfig`, instead of a record: `run(source="demo")`.

    Returns:
        The summary: frames, dropped, states, faces followed, milliseconds by stage; what `run --json` prints.

    Raises:
        InputError: an option is unknown or cannot be used, or the source names nothing.
        SourceError: the source failed and cannot be opened again.
        StreamError: an address cannot be used.

    >>> import fkp_edge as fkp
    >>> summary = fkp.run(source="demo", fast=True, stream=("tcp://127.0.0.1:0",), sheet="demo.png")
    >>> summary["frames"], summary["faces"] > 0
    (376, True)
    """
    if options:
        if config is not None:
            raise InputError(f"run takes a RunConfig or options, got both; put {next(iter(options))} into the record")
        config = _from_options(options)
    from fkp_edge.app.live import plan_run, run_live  # servers and pages, which `track` does not need

    figures: dict[str, Any] = {}

    def done(summary: Summary) -> None:
        figures.update(summary.figures())

    run_live(plan_run(config or RunConfig()), tell=_log.info, done=done)
    return figures


def _from_options(options: dict[str, Any]) -> RunConfig:
    known = RunConfig.__struct_fields__
    if unknown := [name for name in options if name not in known]:
        raise InputError(f"run has no option {unknown[0]!r}; expected fields of RunConfig: {', '.join(known)}")
    return RunConfig(**options)
