"""`fkp-edge bench` and `fkp-edge bench compare`: measures this machine, and compares two measurements."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path

import cv2
import msgspec

from fkp_edge.bench.compare import BETWEEN_RUNS_PERCENT, Changes, compare
from fkp_edge.bench.records import Result, read_result
from fkp_edge.bench.report import check_report, sections, write_report
from fkp_edge.bench.run import Plan
from fkp_edge.bench.run import bench as measure
from fkp_edge.cli.terminal import desktop_stderr
from fkp_edge.device.sources import resolve_source
from fkp_edge.errors import InputError
from fkp_edge.model.edgetpu import check_made_for, made_for
from fkp_edge.model.file import read_model_file
from fkp_edge.model.interpreter import KeypointModel
from fkp_edge.model.shipped import find_model, shipped_model
from fkp_edge.report import Table

__all__ = ["bench", "changes_table", "terminal"]

DEFAULT = ("keypoints-int8", "keypoints-float32")
FOR_COMPARE = {"command", "models", "fail_on", "json", "default_of"}
MIN_S, MAX_S = 1.0, 3600.0
MAX_THREADS = 4
"""As many as a Raspberry Pi has cores."""


def bench(args: Namespace) -> int:
    """Measures models on this machine, or compares; 1 where the second result is worse by more than allowed."""
    if args.models[:1] == ["compare"]:
        return _compare(args)
    if args.fail_on is not None:
        raise InputError("--fail-on is about two results; expected bench compare A.json B.json --fail-on P%")
    if args.report:
        check_report(args.report, overwrite=args.overwrite)
    plan = _plan(args)
    cv2.setNumThreads(1)  # as `fkp-edge run` has it

    if args.accelerator == "edgetpu":
        _check_one_compiled(plan)

    def opens(path: Path, threads: int) -> KeypointModel:
        file = read_model_file(path, card_required=plan.card_required)
        accelerator = made_for(file) if args.accelerator == "edgetpu" else "cpu"
        return KeypointModel(file, threads=threads, accelerator=accelerator)

    with desktop_stderr():  # what decoders say of a picture names no file
        result = measure(plan, opens, lambda text: print(text, file=sys.stderr, flush=True))
    if args.report:
        write_report(result, args.report)
        print(f"report: {args.report}", file=sys.stderr)
    print(msgspec.json.encode(result).decode() if args.json else terminal(result))
    return 0


def _compare(args: Namespace) -> int:
    """What changed from one result to another; 1 where something surely is worse by more than --fail-on."""
    files = [Path(name) for name in args.models[1:]]
    if len(files) != 2:
        raise InputError(f"bench compare takes two results, got {len(files)}; expected A.json B.json of bench --json")
    given = [name for name, value in vars(args).items() if value != args.default_of(name)]
    if unused := [name for name in given if name not in FOR_COMPARE]:
        raise InputError(f"--{unused[0].replace('_', '-')} is for measuring; bench compare takes --fail-on and --json")
    found = compare(*(read_result(path) for path in files))
    failed = found.regressions(args.fail_on) if args.fail_on is not None else []
    if args.json:
        print(msgspec.json.encode({"compared": found, "regressions": failed}).decode())
    else:
        print(changes_table(found))
    for change in failed:
        low = f"worse by {change.interval_percent[0]:.1f} % or more" if change.interval_percent else "none any more"
        print(f"{change.model}, {change.figure}: {low}, allowed are {args.fail_on:g} %", file=sys.stderr)
    return 1 if failed else 0


def _check_one_compiled(plan: Plan) -> None:
    """Refuses models of which none is for the Edge TPU: what was asked for would not be used."""
    files = [read_model_file(path, card_required=plan.card_required) for path in plan.models]
    if all(made_for(file) == "cpu" for file in files):
        check_made_for(files[0], "edgetpu")


def _plan(args: Namespace) -> Plan:
    if not MIN_S <= args.seconds <= MAX_S:  # every duration is kept
        raise InputError(f"--seconds {args.seconds:g} is too short or too long; expected {MIN_S:g} to {MAX_S:g}")
    names = args.models or ([] if args.accelerator == "edgetpu" else DEFAULT)
    if not names:
        raise InputError("--accelerator edgetpu needs a model compiled for it; name one")
    find = find_model if args.models else shipped_model
    paths = tuple(dict.fromkeys(find(name) for name in names))
    cores = len(os.sched_getaffinity(0))
    return Plan(
        models=paths,
        source=resolve_source(args.source),
        data=args.data,
        seconds=args.seconds,
        quick=args.quick,
        threads=args.threads or min(cores, MAX_THREADS),
        card_required=not args.no_card,
    )


CAMERA_RATE = 30
"""Frames a second of most cameras."""


def terminal(result: Result) -> str:
    """What it comes to in a sentence, then the sections of the report."""
    parts = [_verdict(result)]
    for title, said, table in sections(result):
        if title == "Open loop over time":  # a plot's
            continue
        parts += ["", title, *said]
        parts += _columns(table) if table else []
    return "\n".join(parts).replace("`", "")


def _verdict(result: Result) -> str:
    """The first model's frames a second and p95, against a camera of 30 frames a second."""
    first = result.models[0]
    loop = first.open.steady or first.open.first_minute
    rate = first.closed.frames / first.closed.seconds
    name = first.model.removesuffix(".tflite")
    late = loop.stages.get("end to end")
    p95 = "" if late is None else f", and 95 % of frames reach a client within {late.p95_ms:.1f} ms"
    as_a_camera = (first.open.rate or 0.0) >= CAMERA_RATE  # then what was lost says it, whatever else was at work
    keeps_up = loop.lost <= 0.01 * loop.due and (as_a_camera or rate >= CAMERA_RATE)
    enough = "fast enough" if keeps_up else "too slow"
    return (
        f"{name} follows a face at {rate:.0f} frames/s here{p95}: {enough} for a camera of {CAMERA_RATE} frames/s "
        f"({1000 / CAMERA_RATE:.0f} ms a frame), of which {loop.lost} of {loop.due} were lost."
    )


def _columns(table: Table) -> list[str]:
    rows = [table.head, *table.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(table.head))]
    return [
        row[0].ljust(widths[0]) + "".join(f"  {cell:>{w}}" for cell, w in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]


def changes_table(found: Changes) -> str:
    """A comparison for the terminal."""
    if found.same_machine:
        said = [f"Both on {found.before}", f"and then  {found.after}."]
    else:
        said = [
            "DIFFERENT MACHINES: this compares one with the other, and says nothing of a change of the program.",
            f"first:  {found.before}",
            f"second: {found.after}",
        ]
    rows: list[tuple[str, ...]] = [
        (
            f"{change.model.removesuffix('.tflite')}, {change.figure}",
            f"{change.before:.3f}",
            "none" if change.after is None else f"{change.after:.3f}",
            "" if change.change_percent is None else f"{change.change_percent:+.1f} %",
            "{:+.1f} to {:+.1f}".format(*change.interval_percent) if change.interval_percent else "",
            change.verdict,
        )
        for change in found.changes
    ]
    head = ("figure", "before", "after", "change", "95 % interval", "")
    noise = (
        "Noise is what spans of one run differ by, what work that never changes took otherwise the second time "
        f"({found.machine_percent:+.1f} %), and {BETWEEN_RUNS_PERCENT:g} % that two runs of one program "
        "differed by on one machine. Yours may differ by more: measure again before you blame the program."
    )
    return "\n".join([*said, *(f"Remark: {remark}." for remark in found.remarks), *_columns(Table(head, rows)), noise])
