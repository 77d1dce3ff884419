"""fkp-edge beside MediaPipe Face Mesh, dlib and Haar: time of a tracked frame and error of 15 points, in one run.

Usage: python benchmarks/peers/run.py DATA OUT.json [--cache DIR] [--core N] [--rounds N] [--only speed|accuracy]

README.md beside this file says how, and what the figures do not say. Ten minutes on two cores, after the first time.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from environments import ENVIRONMENTS, PEERS, Worker, make_environment
from material import Video, write_clip, write_demo
from speed import describe, joined, tracked_frames

TRACKING = ("int8", "float32", "mediapipe")


def measure_videos(workers: dict[str, Worker], videos: list[Video], rounds: int, work: Path) -> dict[str, Any]:
    """Every peer on every video, in turns: a round is each peer once."""
    clocks: dict[str, dict[str, list[Any]]] = {video.name: {} for video in videos}
    for number in range(rounds):
        for video in videos:
            for name, worker in workers.items():
                found = load(worker.do(video.job() | {"out": str(work / f"{name}-{video.name}.npz")}))
                clocks[video.name].setdefault(name, []).append(found)
            say(f"round {number + 1} of {rounds}: {video.name}")
    return clocks


def load(path: Path) -> dict[str, Any]:
    with np.load(path) as file:
        return dict(file)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with val/, test/ and clips/")
    parser.add_argument("out", type=Path, help="JSON file to write")
    parser.add_argument(
        "--cache", type=Path, help="where the peers' environments stay; a temporary folder unless given"
    )
    parser.add_argument("--core", type=int, default=max(os.sched_getaffinity(0)), help="for all of them: %(default)s")
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fkp-peers-")))
        cache = args.cache or work / "environments"
        pythons = {name: make_environment(name, cache.resolve()) for name in ENVIRONMENTS}
        workers = {
            peer.name: stack.enter_context(
                Worker(
                    peer,
                    pythons.get(peer.environment or "", Path(sys.executable)),
                    args.core,
                    work / f"{peer.name}.log",
                )
            )
            for peer in PEERS
        }
        videos = [write_demo(work, 120)]
        clocks = measure_videos(workers, videos, args.rounds, work)
        runs = clocks["demo"]
        wall = {n: np.stack([r["wall_ns"] for r in runs[n]]) for n in runs}
        cpu = {n: np.stack([r["cpu_ns"] for r in runs[n]]) for n in runs}
        seen = {n: np.isin(np.arange(videos[0].frames), runs[n][0]["picture"]) for n in runs}
        frames = tracked_frames({n: seen[n] for n in TRACKING})
        print(frames.sum(), json.dumps(describe(wall, cpu, frames, "int8"), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
