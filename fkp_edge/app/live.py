"""A run from its record to its end: joins a source, the engine and the streams, which do not know each other."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from msgspec import structs

from fkp_edge.app.config import RunConfig, check_config
from fkp_edge.app.publishing import Publisher, PublishOptions, read_publish_options
from fkp_edge.core.keypoints import IBUG68
from fkp_edge.core.observation import FIELD_OF_VIEW
from fkp_edge.core.systemd import Watchdog
from fkp_edge.device.annotation import ContactSheet, check_sheet
from fkp_edge.device.detection.search import Search, check_search, open_search
from fkp_edge.device.keeping import FaceKeeper, check_keep
from fkp_edge.device.runtime import Runtime, Sink
from fkp_edge.device.sources import (
    LoopedSource,
    Source,
    check_source,
    field_of_view,
    lasting_source,
    open_source,
    reopens,
    resolve_source,
    what_it_gives,
    without_password,
)
from fkp_edge.device.summary import Summary
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.device.tracking.pose import MeasureSettings, Measuring
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import find_model
from fkp_edge.stream.protocol.address import HeadAddress
from fkp_edge.stream.recording.recording import check_recording

__all__ = ["RunPlan", "plan_run", "run_live"]

DEMO_SHEET = Path("fkp-demo.png")
PAGE_OPENS_S = 60.0
"""How long the demo plays on for somebody who is still to open its page."""
DEMO_EVERY = 24
"""Frames from one picture of that sheet to the next: 16 show the whole demo."""


@dataclass(frozen=True)
class RunPlan:
    """A run that can begin, as far as can be said before anything but the model is opened."""

    config: RunConfig
    model: KeypointModel
    publish: PublishOptions


def plan_run(config: RunConfig) -> RunPlan:
    """Opens the model and looks at all else that a run is told: a service may hold the camera and the addresses.

    Raises:
        FkpEdgeError: the run would end at its start.
    """
    config = check_config(config)
    model = open_model(
        find_model(config.model),
        threads=config.threads,
        card_required=not config.no_card,
        accelerator=config.accelerator,
    )
    check_search(config.search)
    check_source(config.source)
    if config.sheet:
        check_sheet(Path(config.sheet))
    if config.keep:
        check_keep(Path(config.keep))
    if config.record:
        check_recording(Path(config.record))
    publish = read_publish_options(config, model.schema)
    if any(isinstance(address, HeadAddress) for address in publish.addresses):
        config = structs.replace(config, measures=structs.replace(config.measures, enabled=True))
    if config.measures.enabled:
        Measuring(model.schema, config.measures)
    return RunPlan(config, model, publish)


def run_live(
    plan: RunPlan,
    *,
    tell: Callable[[str], None],
    show: Sink | None = None,
    done: Callable[[Summary], None],
    command: str = "fkp-edge",
) -> None:
    """Runs until the source ends or, in the main thread, a signal comes.

    Args:
        plan: what to run.
        tell: is told where frames come from and where observations go, a line each.
        show: one more sink, such as a status line.
        done: gets the summary at the end, also where the run fails.
        command: how lines that name a command call it.

    Raises:
        FkpEdgeError: the source or an address failed.
    """
    config, model = plan.config, plan.model
    name = resolve_source(config.source)
    times = StageTimes()
    with ExitStack() as closing:
        publisher = closing.enter_context(Publisher(plan.publish, model, without_password(name), times))
        if config.source == "auto":
            tell("no camera device found: the bundled demo plays" if name == "demo" else f"camera: {name}")
        opens = partial(open_source, lasting_source(name), pace=not config.fast, camera=config.camera)
        again = _another_round(config, name, publisher)
        source: Source = LoopedSource(opens, again) if again else opens()
        not_running = closing.enter_context(ExitStack())
        not_running.callback(source.close)  # while it runs only the runtime knows whether it may be closed
        search = open_search(config.search, times, live=source.live, has_score=model.has_score)
        closing.callback(search.close)
        summary = Summary(model.schema.mean_shape, times)
        sinks: list[Sink] = [publisher, summary, *([show] if show else [])]
        sheet_path = Path(config.sheet) if config.sheet else DEMO_SHEET if name == "demo" else None
        sheet = ContactSheet(model.schema, every=DEMO_EVERY if name == "demo" else 1) if sheet_path else None
        if sheet:
            sinks.append(sheet)
        keeper = None
        if config.keep:
            keeper = closing.enter_context(FaceKeeper(Path(config.keep), config.keeping, model))
            sinks.append(keeper)
        sinks.append(Watchdog(os.environ, alive=lambda: runtime.reopens))
        measures = config.measures.of_camera(field_of_view(source))
        engine = Engine(model, search, config.tracking, config.smoothing, measures=measures, times=times)
        runtime = Runtime(source, engine, sinks, reopen=opens if reopens(source) else None, settings=config.supervision)
        try:
            with _stopping_on_signals(runtime):  # before anybody is told that we run
                for line in publisher.introduction(command):
                    tell(line)
                if given := what_it_gives(source):
                    tell(f"{source.name} gives {given}")
                if measures.enabled:
                    tell(_what_is_measured(model, measures))
                if keeper:
                    tell(f"pictures of faces are kept in {config.keep}, {_bounds(config)}")
                if not model.has_score:
                    tell(_without_score(model.file.path.name, config))
                not_running.pop_all()
                runtime.run()
        except Exception:
            with suppress(OSError):  # the error is what counts, also where nobody reads the summary
                done(_completed(summary, runtime, search, engine, config.tracking.found_score))
            raise
        done(_completed(summary, runtime, search, engine, config.tracking.found_score))
        if sheet and sheet_path and summary.frames:
            sheet.save(sheet_path)
            tell(f"annotated frames: {sheet_path}")
        if keeper:
            keeper.close()
            tell(f"{keeper.kept} faces kept in {config.keep}")


def _without_score(name: str, config: RunConfig) -> str:
    """What to expect of a network that does not say whether it sees a face."""
    return (
        f"{name} has no score: whatever Haar proposes counts as a face, and only Haar says, every "
        f"{config.tracking.verify_every_s:g} s, whether it still is one; expect points where no face is"
    )


def _bounds(config: RunConfig) -> str:
    """How much is kept of faces."""
    return f"at most {config.keeping.max_faces} and {config.keeping.max_mb:g} MB"


def _what_is_measured(model: KeypointModel, measures: MeasureSettings) -> str:
    """What positions assume, and which measures this network does not give."""
    degrees = FIELD_OF_VIEW if measures.field_of_view == "auto" else measures.field_of_view
    lids = "" if model.schema is IBUG68 else f"; {model.file.path.stem} has no eyelids, --model keypoints68-int8 does"
    return f"positions assume {degrees:g} degrees across the picture, {measures.pupils_cm:g} cm between pupils{lids}"


def _another_round(config: RunConfig, name: str, publisher: Publisher) -> Callable[[], bool] | None:
    """Whether what ends begins again: always with --loop, the demo also while somebody looks at its page.

    None for what has no end, or is read once.
    """
    if name == "picamera" or name.startswith(("v4l2:", "gray:", "yuv420:")) or "://" in name:
        return None
    if config.loop:
        return lambda: True
    if name != "demo" or config.fast or not config.web:
        return None
    opened_s = time.monotonic()
    return lambda: publisher.viewers > 0 or time.monotonic() - opened_s < PAGE_OPENS_S


def _completed(summary: Summary, runtime: Runtime, search: Search, engine: Engine, found_score: float) -> Summary:
    """`summary` with what its owners counted."""
    summary.searches = search.count
    summary.best_proposal, summary.found_score = engine.best_proposal, found_score
    summary.refused, summary.reopened = runtime.refused, runtime.reopened
    return summary


@contextmanager
def _stopping_on_signals(runtime: Runtime) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the run cleanly, once; a second one at once. Python has them in one thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    kinds = (signal.SIGINT, signal.SIGTERM)

    asked = False

    def stop(*_: object) -> None:
        nonlocal asked
        if asked:
            os._exit(130)
        asked = True
        runtime.stop()

    before = {kind: signal.signal(kind, stop) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
