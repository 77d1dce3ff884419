"""A measurement for people: Markdown, and an HTML page with plots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from fkp_edge import report as pages
from fkp_edge.bench.records import STAGES, Accuracy, Latency, Loop, Measured, Result
from fkp_edge.core.files import write_whole
from fkp_edge.errors import InputError
from fkp_edge.report import Bar, Section, Table, bars, lines

__all__ = ["SUFFIXES", "check_report", "html_page", "markdown", "sections", "write_report"]

SUFFIXES = (".html", ".md", ".json")
RUNS_ON = {"cpu": "CPU", "edgetpu": "Edge TPU"}
FIGURES = ("count", "p50", "p90", "p95", "p99", "max")


def check_report(path: Path, *, overwrite: bool) -> None:
    """Asked before the work begins.

    Raises:
        InputError: the suffix is none of ours, the folder does not exist, or a file does.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"--report {path} has no known suffix; expected {', '.join(SUFFIXES)}")
    if not path.parent.is_dir():
        raise InputError(f"{path.parent} is not a folder; make it, or name another --report")
    if path.exists() and not overwrite:
        raise InputError(f"{path} already exists; name another --report or add --overwrite")


def write_report(result: Result, path: Path) -> None:
    """Writes `result` as the suffix of `path` says.

    Raises:
        InputError: it cannot be written.
    """
    made = {
        ".html": lambda: html_page(result).encode(),
        ".md": lambda: markdown(result).encode(),
        ".json": lambda: msgspec.json.encode(result) + b"\n",
    }
    write_whole({path: made[path.suffix.lower()]()})


def markdown(result: Result) -> str:
    """The whole measurement as Markdown."""
    return pages.markdown(sections(result))


def html_page(result: Result) -> str:
    """The whole measurement as one HTML page with plots, which needs nothing else."""
    plots = {
        "Stages, open loop": _plot_stages({_name(m): m.open.steady or m.open.first_minute for m in result.models}),
        "Open loop over time": _plot_time(result),
        "The network alone": _plot_threads(result),
    } | {_points_title(schema): _plot_points(each) for schema, each in _by_schema(result.models).items()}
    title = f"fkp-edge bench: {result.machine}"
    return pages.html_page(title, sections(result), {name: plot for name, plot in plots.items() if plot})


def sections(result: Result) -> list[Section]:
    """The measurement for people; the first section's title is the page's."""
    return [
        Section(f"fkp-edge bench: {result.machine}", [*_machine(result)]),
        _models(result),
        Section("Start of fkp-edge run", ["A process of its own, from its start to its client."], _starts(result)),
        Section(
            "Stages, closed loop",
            [
                "The next frame as soon as the one before is handed to the stream. `engine` holds search to pose; "
                "`send` ends when a client in another process has decoded the line; milliseconds.",
                *(f"{_name(m)}: {m.closed.frames / m.closed.seconds:.0f} frames/s." for m in result.models),
            ],
            _stages([(_name(m), m.closed) for m in result.models]),
        ),
        Section("Stages, open loop", _open_lines(result), _stages([*_opens(result)])),
        Section("Open loop over time", ["`end to end`: medians of consecutive spans of equal count."]),
        Section("The network alone", ["One inference, threads and models in turns; milliseconds."], _networks(result)),
        *_accuracy(result.models),
    ]


def _machine(result: Result) -> Iterator[str]:
    board, software = result.before, result.software
    for warning in result.warnings:
        yield f"Warning: {warning}."
    if result.quick:
        yield "Warning: --quick shows that it works; its figures are of too few frames to be quoted."
    yield f"Measured {result.made_at} on {result.machine}; {board.system or 'unknown system'}, kernel {board.kernel}."
    commit = f" ({software.commit[:12]}{'+' if software.commit.endswith('+') else ''})" if software.commit else ""
    yield (
        f"fkp-edge {software.fkp_edge}{commit}, {software.runtime}, Python {software.python}, NumPy {software.numpy}, "
        f"OpenCV {software.opencv}; one CPU thread where not said otherwise."
    )
    yield (
        f"Governor {board.governor or 'unknown'}, temperature {_degrees(board.temperature_c)} before and "
        f"{_degrees(result.after.temperature_c)} after, throttling bits {_bits(board.throttled)} before and "
        f"{_bits(result.after.throttled)} after."
    )
    yield f"Frames: {result.source}, {result.frame_size[0]}x{result.frame_size[1]}, held in memory."


def _degrees(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.1f} C"


def _bits(value: int | None) -> str:
    return "unknown" if value is None else f"0x{value:x}"


def _models(result: Result) -> Section:
    head = ("model", "sha256", "computes in", "runs on", "flatbuffer, kB", "file, kB")
    rows: list[tuple[str, ...]] = [
        (m.model, m.sha256[:12], m.arithmetic, RUNS_ON[m.accelerator], *(f"{n / 1000:.1f}" for n in sizes))
        for m in result.models
        for sizes in [(m.flatbuffer_bytes, m.file_bytes)]
    ]
    return Section("Models", [], Table(head, rows))


def _starts(result: Result) -> Table:
    head = ("model", "listening, s", "first observation, s", "first keypoints, s", "peak memory, MiB")
    rows: list[tuple[str, ...]] = []
    for m in result.models:
        for start in m.start:
            times = (start.listening_s, start.first_observation_s, start.first_keypoints_s)
            rows.append((_name(m), *("none" if t is None else f"{t:.2f}" for t in times), f"{start.peak_mb:.1f}"))
    return Table(head, rows)


def _opens(result: Result) -> Iterator[tuple[str, Loop]]:
    for m in result.models:
        yield f"{_name(m)}, first minute", m.open.first_minute
        if m.open.steady:
            yield f"{_name(m)}, steady", m.open.steady


def _open_lines(result: Result) -> list[str]:
    rates = {f"{m.open.rate:g} frames/s" if m.open.rate else "a camera's own rate" for m in result.models}
    said = [
        f"Frames come at {', '.join(sorted(rates))}, whether or not the one before is done; `end to end` is from when "
        "a frame was due to a client's having it; milliseconds."
    ]
    for name, loop in _opens(result):
        said.append(
            f"{name}: {loop.frames} frames in {loop.seconds:.1f} s, {loop.dropped} dropped, {loop.missed} not received."
        )
    if not all(m.open.steady for m in result.models):
        said.append(f"Steady state: not reached; it begins after the first minute, and this took {result.seconds:g} s.")
    return said


def _stages(loops: Sequence[tuple[str, Loop]]) -> Table:
    rows: list[tuple[str, ...]] = [
        (f"{name}: {stage}", *_figures(loop.stages[stage]))
        for name, loop in loops
        for stage in STAGES
        if stage in loop.stages
    ]
    return Table(("stage", *FIGURES), rows)


def _name(model: Measured) -> str:
    return model.model.removesuffix(".tflite")


def _figures(found: Latency) -> tuple[str, ...]:
    values = (found.p50_ms, found.p90_ms, found.p95_ms, found.p99_ms, found.max_ms)
    return (str(found.count), *(f"{value:.3f}" for value in values))


def _networks(result: Result) -> Table:
    rows: list[tuple[str, ...]] = [
        (f"{_name(m)}: {n}", *_figures(found)) for m in result.models for n, found in m.network.items()
    ]
    return Table(("model: threads", *FIGURES), rows)


def _accuracy(models: Sequence[Measured]) -> Iterator[Section]:
    for schema, measured in _by_schema(models).items():
        baseline = measured[0][1].baseline.removesuffix(".tflite")
        yield _accuracy_of(f"Accuracy of {schema} against {baseline}", measured)
        head = ("model: point", "NME before, %", "NME after, %", "lost, % of it", "95 % interval")
        if rows := _point_rows(measured):
            yield Section(_points_title(schema), [f"Before is {baseline}."], Table(head, rows))


def _by_schema(models: Sequence[Measured]) -> dict[str, list[tuple[Measured, Accuracy]]]:
    """Networks of one schema were measured on the same crops, and those of another on others."""
    found: dict[str, list[tuple[Measured, Accuracy]]] = {}
    for m in models:
        if m.accuracy:
            found.setdefault(m.schema, []).append((m, m.accuracy))
    return found


def _points_title(schema: str) -> str:
    return f"Accuracy of {schema} by point"


def _accuracy_of(title: str, measured: Sequence[tuple[Measured, Accuracy]]) -> Section:
    first = measured[0][1]
    faces = ", ".join(f"{name} ({count} faces)" for name, count in first.sets.items())
    said = (
        f"{first.crops} crops of {faces}: the labels' own, its mirror image and, of whole pictures, three framed as "
        "the tracker does; these models on the same, crop by crop in turns. NME: mean distance of the points over that "
        "of the outer eye corners. Intervals: paired bootstrap over people."
    )
    head = ("model", "kB", "p50, ms", "p99, ms", "NME, %", "RMSE, px", "lost, % of the NME", "95 % interval")
    rows: list[tuple[str, ...]] = []
    for m, a in measured:
        loss = (
            ("baseline", "")
            if a.loss is None
            else (f"{a.loss.overall.loss_percent:+.2f}", "{:+.2f} to {:+.2f}".format(*a.loss.overall.interval_percent))
        )
        latencies = (f"{a.latency.p50_ms:.3f}", f"{a.latency.p99_ms:.3f}")
        figures = (f"{m.flatbuffer_bytes / 1000:.1f}", *latencies, f"{a.nme_percent:.3f}", f"{a.rmse_px:.3f}")
        rows.append((_name(m), *figures, *loss))
    return Section(title, [said], Table(head, rows))


def _point_rows(measured: Sequence[tuple[Measured, Accuracy]]) -> list[tuple[str, ...]]:
    return [
        (
            f"{_name(m)}: {name}",
            f"{loss.before_percent:.3f}",
            f"{loss.after_percent:.3f}",
            f"{loss.loss_percent:+.2f}",
            "{:+.2f} to {:+.2f}".format(*loss.interval_percent),
        )
        for m, a in measured
        if a.loss
        for name, loss in a.loss.points.items()
    ]


def _plot_stages(loops: dict[str, Loop]) -> str:
    groups: dict[str, dict[str, Bar]] = {}
    for stage in STAGES:
        found = {name: loop.stages[stage] for name, loop in loops.items() if stage in loop.stages}
        if found and stage != "search":  # a hundred times the others, and beside them
            groups[stage] = {name: (each.p50_ms, (each.p50_ms, each.p95_ms)) for name, each in found.items()}
    return bars(groups, label="milliseconds: p50, line to p95")


def _plot_time(result: Result) -> str:
    series = {}
    for m in result.models:
        points, start = [], 0.0
        for loop in (m.open.first_minute, m.open.steady):
            if loop and (found := loop.stages.get("end to end")):
                step = loop.seconds / len(found.blocks_ms)
                points += [(start + (i + 0.5) * step, value) for i, value in enumerate(found.blocks_ms)]
                start += loop.seconds
        if points:
            series[_name(m)] = points
    return lines(series, labels=("seconds", "from due to the client, ms")) if series else ""


def _plot_threads(result: Result) -> str:
    series = {_name(m): [(float(n), found.p50_ms) for n, found in m.network.items()] for m in result.models}
    if all(len(each) < 2 for each in series.values()):
        return ""
    return lines(series, labels=("threads", "p50 of an inference, ms"))


def _plot_points(measured: Sequence[tuple[Measured, Accuracy]]) -> str:
    groups: dict[str, dict[str, Bar]] = {}
    for m, a in measured:
        for name, loss in a.loss.points.items() if a.loss else ():
            groups.setdefault(name, {})[_name(m)] = (loss.loss_percent, loss.interval_percent)
    return bars(groups, label="loss, % of the baseline's NME, with 95 % interval") if groups else ""
