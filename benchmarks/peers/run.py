"""fkp-edge beside MediaPipe Face Mesh, dlib and Haar: time of a tracked frame and error of 15 points, in one run.

Usage: python benchmarks/peers/run.py DATA OUT.json [--cache DIR] [--core N] [--rounds N] [--only speed|accuracy]

README.md beside this file says how, and what the figures do not say. Twelve minutes on two cores, and two more the
first time, for the peers' environments. `--only` measures one part anew and keeps the other one of OUT.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import photographs
import videos
from environments import ENVIRONMENTS, PEERS, Worker, make_environment
from material import CHIPS, SCENES, check, write_chips, write_clip, write_demo, write_scenes

from fkp_edge.errors import FkpEdgeError

GOALS = {"mediapipe": 4, "dlib": 35, "haar": 50}
"""How many times the time of our int8 file's tracked frame each peer's should take at least, on the demo, by the wall's
clock and by the processor's."""

MORE = {videos.PREDICTOR: "dlib, its predictor alone", photographs.SETTLED: "MediaPipe Face Mesh, four looks"}
"""Titles of what is a peer's part or another use of it."""


def machine(core: int) -> dict[str, Any]:
    """Where the times were taken."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return {
        "processor": model,
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "core_used": core,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_average": [round(value, 2) for value in os.getloadavg()],
    }


def measure_speed(workers: Mapping[str, Worker], args: argparse.Namespace, work: Path) -> dict[str, Any]:
    """The record of the videos."""
    clips = [write_clip(path, work) for path in sorted((args.data / "clips").glob("*.mp4"))]
    return videos.measure(workers, [write_demo(work), *clips], args.rounds, work)


def measure_accuracy(workers: Mapping[str, Worker], args: argparse.Namespace, work: Path) -> dict[str, Any]:
    """The record of the photographs."""
    sets = {name: write_chips(args.data / name, work) for name in CHIPS}
    return photographs.measure(workers, sets | {SCENES: write_scenes(args.data / SCENES, work)}, work)


def goals(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What was set out to hold, and whether it does."""
    rows = []
    if speed := record.get("speed"):
        peers = speed["groups"]["demo"]["peers"]
        for name, least in GOALS.items():
            measured = min(peers[name][f"{clock}_ratio"]["median"] for clock in ("wall", "cpu"))
            rows.append({"goal": f"{name} takes {least} times as long or more", "measured": measured})
            rows[-1]["holds"] = measured >= least
    if accuracy := record.get("accuracy"):
        peers = accuracy["own_detector"]["test/afw"]["peers"]
        for name in ("mediapipe", photographs.SETTLED):
            pair = peers[name]["beside_base"]["theirs_without_habit"]
            measured = [pair["ours_percent"], pair["theirs_percent"]]
            goal = f"NME on test/afw below that of {name} without its habit, on the faces that both found"
            rows.append({"goal": goal, "measured": measured, "holds": measured[0] < measured[1]})
    return rows


def main() -> int:
    """Measures, prints what was set out to hold, and writes the record."""
    args = arguments()
    try:
        record = measure(args)
    except FkpEdgeError as error:
        print(error, file=sys.stderr)
        return 2
    print(json.dumps(record["goals"], indent=1))
    return 0


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with val/, test/ and clips/")
    parser.add_argument("out", type=Path, help="JSON file to write")
    parser.add_argument("--cache", type=Path, help="keeps the peers' environments here; else they are made anew")
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="for all peers (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="on each video (%(default)s)")
    parser.add_argument("--only", choices=("speed", "accuracy"), help="keeps the other part of OUT")
    return parser.parse_args()


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """The record, written after each part."""
    check(args.data)
    record = json.loads(args.out.read_text()) if args.only and args.out.exists() else {}
    record |= {
        "command": "python benchmarks/peers/run.py DATA OUT.json",
        "peers": {p.name: p.title for p in PEERS} | MORE,
    }
    measures = {"speed": measure_speed, "accuracy": measure_accuracy}
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fkp-edge-peers-")))
        cache = (args.cache or work / "environments").resolve()
        pythons = {name: make_environment(name, cache) for name in ENVIRONMENTS}
        workers = {
            peer.name: stack.enter_context(
                Worker(peer, pythons.get(peer.environment or "", Path(sys.executable)), args.core, work)
            )
            for peer in PEERS
        }
        for part in [args.only] if args.only else measures:
            facts = {"machine": machine(args.core)}
            record[part] = facts | measures[part](workers, args, work)
            record[part]["versions"] = {name: worker.versions for name, worker in workers.items()}
            record["goals"] = goals(record)
            args.out.write_text(json.dumps(record, indent=1) + "\n")
    return record


if __name__ == "__main__":
    sys.exit(main())
