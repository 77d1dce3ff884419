"""Haar, the finder, and both: how soon a face is tracked, what searching costs, and what `predict` finds.

    python benchmarks/search_methods.py DATA OUT.json [--chips 500]     (ten minutes; fills docs/search.md)
    python benchmarks/search_methods.py DATA OUT.json --only-counts     (half a minute; OUT has the rest)

Live, 30 frames a second: the demo's faces come back 40 times after an empty picture; one face is followed while a
second one is looked for; nobody is there. CPU is the process's, less what the same frames cost without a search.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import textwrap
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from live import GONE_FRAMES, RATE, RETURNS, SHOWN_FRAMES, paced
from performance_page import REPOSITORY, fill, table
from scenes import without_people

from fkp_edge.core.observation import Frame, Observation, State
from fkp_edge.data import read_picture, read_scenes
from fkp_edge.device.board import read_board
from fkp_edge.device.detection.finder import Finder
from fkp_edge.device.detection.finder_search import FinderSearch
from fkp_edge.device.detection.search import FakeSearch, Method, Search, SearchSettings, open_search
from fkp_edge.device.image_detector import ImageDetector, ImageSettings
from fkp_edge.device.runtime import Runtime
from fkp_edge.device.sources import DemoSource, FakeCamera
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.engine import Engine, EngineSettings
from fkp_edge.evaluation.evaluate import evaluate_scenes
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model

METHODS: tuple[Method, ...] = ("both", "haar", "finder")
NAMES = {"both": "both", "haar": "Haar", "finder": "finder"}
PAGE = REPOSITORY / "docs/search.md"
EMPTY_S, TRACKED_S = 12, 9
NOISE = 2.0
"""Grey levels, standard deviation, of a camera."""


def play(
    picture: Callable[[int], Frame], count: int, search: Search, times: StageTimes, settings: EngineSettings
) -> tuple[list[Observation], float]:
    """What is seen at 30 frames a second, and the share of a core that it took."""
    seen: list[Observation] = []
    engine = Engine(open_model(shipped_model()), search, settings, times=times)
    runtime = Runtime(FakeCamera(paced(picture, count), live=True), engine, [lambda _, made: seen.append(made)])
    wall, used = time.monotonic(), time.process_time()
    runtime.run()
    share = (time.process_time() - used) / (time.monotonic() - wall)
    search.close()
    return seen, share


def opened(method: Method) -> tuple[Search, StageTimes]:
    """The search that `fkp-edge run` would use."""
    times = StageTimes()
    return open_search(SearchSettings(method=method), times, live=True), times


def appearing(method: Method, demo: DemoSource) -> dict[str, Any]:
    """Frames from the first that shows a face again to the first in which it is tracked; 1 is the same frame."""
    shown = [demo.frame(int(i), 0) for i in np.random.default_rng(0).integers(0, 190, RETURNS)]
    gone = replace(shown[0], grey=np.full_like(shown[0].grey, 128), truth=None)
    cycle = SHOWN_FRAMES + GONE_FRAMES

    def picture(i: int) -> Frame:
        turn, at = divmod(i, cycle)
        return gone if at < GONE_FRAMES else shown[turn]

    seen, _ = play(picture, RETURNS * cycle, *opened(method), EngineSettings())
    waits = []
    for turn in range(RETURNS):
        back = [o for o in seen if turn * cycle + GONE_FRAMES <= o.sequence < (turn + 1) * cycle]
        tracked = [i for i, o in enumerate(back) if o.state is State.TRACKING]
        waits.append(1 + tracked[0] if tracked else np.inf)
    return {
        "returns": RETURNS,
        "found": int(np.isfinite(waits).sum()),
        "median_frames": float(np.median(waits)),
        "p95_frames": float(np.percentile(waits, 95, method="higher")),
    }


def one_more(method: Method, demo: DemoSource) -> dict[str, Any]:
    """A frame's engine time while one face is followed and another is looked for."""
    frames = [demo.frame(i, 0) for i in range(TRACKED_S * RATE)]
    search, times = opened(method)
    play(lambda i: frames[i], len(frames), search, times, EngineSettings(max_faces=2))
    spent = np.array(times.newest_ns("engine")[RATE:]) / 1e6
    p50, p99 = np.percentile(spent, [50, 99])
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3), "p99_over_p50": round(float(p99 / p50), 2)}


def empty_rooms(demo: DemoSource) -> dict[str, list[Frame]]:
    """A second of an empty room with a camera's noise, which stands still, and in which all moves."""
    rng = np.random.default_rng(0)
    room = demo.frame(RATE * 10, 0)
    noisy = [
        replace(room, grey=np.clip(room.grey + rng.normal(0, NOISE, room.grey.shape), 0, 255).astype(np.uint8))
        for _ in range(RATE)
    ]
    return {"still": noisy, "moving": [replace(f, grey=np.roll(f.grey, 3 * i, axis=1)) for i, f in enumerate(noisy)]}


def counts(demo: DemoSource) -> dict[str, Any]:
    """Runs of the networks a frame that searching an empty room takes with the finder alone: no clock is asked."""
    found = {}
    for name, frames in empty_rooms(demo).items():
        model, finder = open_model(shipped_model()), Finder()
        runs = {"looks": 0, "finder_runs": 0}
        model.invoke = counted(model.invoke, runs, "looks")  # type: ignore[method-assign]
        finder.propose = counted(finder.propose, runs, "finder_runs")  # type: ignore[method-assign]
        engine = Engine(model, FinderSearch(finder, live=True))
        looks = []
        for i in range(EMPTY_S * RATE):
            before = runs["looks"]
            engine.process(replace(frames[i % RATE], captured_ns=round(i * 1e9 / RATE), sequence=i))
            looks.append(runs["looks"] - before)
        found[name] = {
            "finder_runs_per_frame": round(runs["finder_runs"] / len(looks), 2),
            "looks_per_frame": round(float(np.mean(looks)), 2),
            "most_looks_in_a_frame": max(looks),
        }
    return found


def counted(call: Callable[..., Any], runs: dict[str, int], name: str) -> Callable[..., Any]:
    """`call`, whose calls `runs` counts under `name`."""

    def counting(*args: Any, **options: Any) -> Any:
        runs[name] += 1
        return call(*args, **options)

    return counting


def nobody(method: Method, demo: DemoSource) -> dict[str, Any]:
    """The share of a core that searching an empty room takes, with a camera's noise and a room that stands still."""
    found = {}
    for name, frames in empty_rooms(demo).items():
        count = EMPTY_S * RATE
        _, idle = play(lambda i, f=frames: f[i % RATE], count, FakeSearch(), StageTimes(), EngineSettings())
        seen, share = play(lambda i, f=frames: f[i % RATE], count, *opened(method), EngineSettings())
        found[f"{name}_cpu_share"] = round(max(share - idle, 0.0), 3)
        found[f"{name}_false_faces"] = sum(o.state is State.TRACKING for o in seen)
    return found


def pictures(method: Method, data: Path, chips: Sequence[Path]) -> dict[str, Any]:
    """What `predict` finds."""
    model = open_model(shipped_model())
    finder = ImageDetector(model, ImageSettings(method=method))
    scenes = without_people(read_scenes(data / "test/scenes"))
    start = time.process_time()
    whole = evaluate_scenes(
        model, scenes, propose=lambda _: [], find=lambda grey: [face.points for face in finder.find(grey)]
    )
    spent = time.process_time() - start
    seen = {path: bool(finder.find(read_picture(path))) for path in chips}
    young = [found for path, found in seen.items() if int(path.name.split("_")[0]) < 3]
    return {
        "scenes_found_percent": round(whole["found_percent"], 1),
        "scenes_false_faces_per_photograph": round(whole["false_faces_per_photograph"], 3),
        "scenes_cpu_s_per_photograph": round(spent / len(scenes), 3),
        "chips": len(seen),
        "chips_found_percent": round(100 * float(np.mean(list(seen.values()))), 1),
        "chips_under_three": len(young),
        "chips_under_three_found": sum(young),
    }


def page(record: dict[str, Any]) -> str:
    """What stands in docs/search.md."""
    lines = (
        ("a face that appears is tracked: median, p95, frames", "appearing", "{median_frames:g}, {p95_frames:g}"),
        ("of 40 that appear, found within 20 frames", "appearing", "{found}"),
        ("a frame while a second face is looked for, p99 / median", "one_more", "{p99_over_p50:.2f}"),
        ("of a core, nobody there, a still room", "nobody", "{still_cpu_share:.3f}"),
        ("of a core, nobody there, all in motion", "nobody", "{moving_cpu_share:.3f}"),
        ("`predict`, test/scenes: faces found", "pictures", "{scenes_found_percent:.1f} %"),
        ("the same: false faces a photograph", "pictures", "{scenes_false_faces_per_photograph:.3f}"),
        ("the same: CPU a photograph", "pictures", "{scenes_cpu_s_per_photograph:.3f} s"),
        ("`predict`, tight chips: faces found", "pictures", "{chips_found_percent:.1f} %"),
        ("the same, under three years", "pictures", "{chips_under_three_found} of {chips_under_three}"),
    )
    rows = [
        (name, *(form.format(**record["methods"][method][part]) for method in METHODS)) for name, part, form in lines
    ]
    machine, still, moving = record["machine"], *(record["counts"][name] for name in ("still", "moving"))
    counted = (
        f"With the finder alone and nobody there a frame takes {still['finder_runs_per_frame']} runs of the finder and "
        f"{still['looks_per_frame']} of the keypoint network in a still room, {moving['finder_runs_per_frame']} and "
        f"{moving['looks_per_frame']} where all is in motion, at most {moving['most_looks_in_a_frame']} of the latter. "
        "These are counted after each change of the search; what is timed may be older."
    )
    return f"""\
{table(("", *(NAMES[method] for method in METHODS)), rows)}

{machine["processor"]}, {machine["cores"]} cores, not idle: ratios, counts and frames are what to read.

{textwrap.fill(counted, 120)}"""


def main() -> None:
    """Prints a method at a time, and writes all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--chips", type=int, default=500)
    parser.add_argument("--only-counts", action="store_true")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    demo = DemoSource(pace=False)
    if args.only_counts:
        save(json.loads(args.out.read_text()) | {"counts": counts(demo)}, args.out)
        return
    chips = sorted((args.data / "unlabelled/utkface").glob("*.jpg"))
    random.Random(0).shuffle(chips)  # noqa: S311 - a draw of pictures
    found = {}
    for method in METHODS:
        found[method] = {
            "appearing": appearing(method, demo),
            "one_more": one_more(method, demo),
            "nobody": nobody(method, demo),
            "pictures": pictures(method, args.data, chips[: args.chips]),
        }
        print(method, found[method], flush=True)
    board = read_board()
    record = {
        "machine": {"processor": board.cpu, "cores": board.cores, "load_1_min": round(os.getloadavg()[0], 2)},
        "model_sha256": open_model(shipped_model()).file.sha256,
        "finder": shipped_model("finder-int8").name,
        "methods": found,
        "counts": counts(demo),
    }
    save(record, args.out)


def save(record: dict[str, Any], out: Path) -> None:
    """Writes the record, and what docs/search.md shows of it."""
    out.write_text(json.dumps(record, indent=1) + "\n")
    PAGE.write_text(fill(PAGE.read_text(), "search methods", page(record)))


if __name__ == "__main__":
    main()
