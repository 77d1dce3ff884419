"""`fkp-edge bench` and `fkp-edge bench compare`: measures this machine, and compares two measurements."""

from __future__ import annotations

import os
import sys
from argparse import Namespace
from pathlib import Path

import cv2
import msgspec

from fkp_edge.bench.compare import compare
from fkp_edge.bench.records import read_result
from fkp_edge.bench.report import check_report, write_report
from fkp_edge.bench.run import Plan
from fkp_edge.bench.run import bench as measure
from fkp_edge.bench.terminal import changes_table, terminal
from fkp_edge.cli.terminal import quiet_runtime
from fkp_edge.device.sources import resolve_source
from fkp_edge.errors import InputError
from fkp_edge.model.edgetpu import check_made_for, made_for
from fkp_edge.model.file import read_model_file
from fkp_edge.model.interpreter import KeypointModel
from fkp_edge.model.shipped import find_model, shipped_model

__all__ = ["bench"]

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
        with quiet_runtime():
            accelerator = made_for(file) if args.accelerator == "edgetpu" else "cpu"
            return KeypointModel(file, threads=threads, accelerator=accelerator)

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
