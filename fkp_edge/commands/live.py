"""What `fkp-edge run` does: joins a source, the engine and the stream, which do not know each other."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from fkp_edge.commands.publishing import Publisher, PublishOptions
from fkp_edge.commands.run_config import RunConfig
from fkp_edge.commands.terminal import print_result
from fkp_edge.device.contact_sheet import ContactSheet
from fkp_edge.device.engine import Engine
from fkp_edge.device.runtime import Runtime, Sink
from fkp_edge.device.search import InlineSearch, ThreadedSearch, open_search
from fkp_edge.device.sources import open_source, reopens, resolve_auto, what_it_gives, without_password
from fkp_edge.device.summary import StatusLine, Summary
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.watchdog import Watchdog
from fkp_edge.interpreter import KeypointModel
from fkp_edge.journal import CameraLog, is_journal, log_to_journal

__all__ = ["run_live"]

DEMO_SHEET = Path("fkp-demo.png")
DEMO_EVERY = 24
"""Frames from one picture of that sheet to the next: 16 show the whole demo."""


def run_live(config: RunConfig, options: PublishOptions, model: KeypointModel) -> int:
    """Runs until the source ends or a signal comes; the exit code."""
    args = options.args
    in_journal = is_journal(sys.stderr)
    if in_journal:
        log_to_journal(sys.stderr)
    name = args.source
    if name == "auto":
        name = resolve_auto()
        why = "no camera device found: the bundled demo plays" if name == "demo" else f"camera: {name}"
        print(why, file=sys.stderr, flush=True)
    times = StageTimes()
    with ExitStack() as closing:
        publisher = closing.enter_context(Publisher(options, model, without_password(name), times))
        opens = partial(open_source, name, pace=not args.fast, camera=config.camera)
        source = opens()
        not_running = closing.enter_context(ExitStack())
        not_running.callback(source.close)  # while it runs only the runtime knows whether it may be closed
        search = open_search(config.search, times, live=source.live)
        closing.callback(search.close)
        summary = Summary(model.schema.mean_shape, times)
        status = None if in_journal else StatusLine(sys.stderr)
        if status:
            closing.callback(status.end)
        sheet_path = args.sheet or (DEMO_SHEET if name == "demo" else None)
        sinks: list[Sink] = [publisher, summary, status or CameraLog()]
        sheet = ContactSheet(model.schema, every=DEMO_EVERY if name == "demo" else 1) if sheet_path else None
        if sheet:
            sinks.append(sheet)
        sinks.append(Watchdog(os.environ, alive=lambda: runtime.reopens))
        engine = Engine(model, search, config.tracking, config.smoothing, times=times)
        runtime = Runtime(source, engine, sinks, reopen=opens if reopens(source) else None, settings=config.supervision)
        command = sys.argv[0] if Path(sys.argv[0]).name == "fkp-edge" else "fkp-edge"
        try:
            with _stopping_on_signals(runtime):  # before anybody is told that we run
                for line in publisher.introduction(command):
                    print(line, file=sys.stderr, flush=True)
                if given := what_it_gives(source):
                    print(f"{source.name} gives {given}", file=sys.stderr, flush=True)
                not_running.pop_all()
                runtime.run()
        except Exception:
            with suppress(OSError):  # the error is what counts, also where nobody reads the summary
                _report(summary, runtime, search, status, as_json=args.json)
            raise
        _report(summary, runtime, search, status, as_json=args.json)
        if sheet and sheet_path and summary.frames:
            sheet.save(sheet_path)
            print(f"annotated frames: {sheet_path}", file=sys.stderr)
    return 0


def _report(
    summary: Summary,
    runtime: Runtime,
    search: ThreadedSearch | InlineSearch,
    status: StatusLine | None,
    *,
    as_json: bool,
) -> None:
    """Prints what the run amounted to."""
    if status:
        status.end()
    if not summary.frames:
        return
    summary.searches = search.count
    summary.refused, summary.reopened = runtime.refused, runtime.reopened
    print_result(json.dumps(summary.figures()) if as_json else summary.table())


@contextmanager
def _stopping_on_signals(runtime: Runtime) -> Iterator[None]:
    """Ctrl-C and SIGTERM end the run cleanly, once; a second one ends it at once."""
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
