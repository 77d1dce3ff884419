"""Live: a frame's engine time while searches go on beside it, and how soon a face that comes back is tracked.

Usage: python benchmarks/live.py OUT.json     (two minutes; frames come at 30 a second, the search has its own thread)
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fkp_edge.core.observation import Frame, Observation, State
from fkp_edge.device.detection.haar import HaarDetector, RotatedDetector
from fkp_edge.device.detection.search import SearchSettings, ThreadedSearch
from fkp_edge.device.runtime import Runtime
from fkp_edge.device.sources import DemoSource, FakeCamera
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.engine import Engine, EngineSettings
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model

RATE = 30
ROUNDS = 5
SECONDS = 9
"""Of the demo: until the face leaves."""
RETURNS = 40
SHOWN_FRAMES, GONE_FRAMES = 20, 30


def paced(picture: Callable[[int], Frame], count: int) -> Iterator[Frame]:
    """Frames as a camera gives them: at their time, stamped with it."""
    start = time.monotonic()
    for i in range(count):
        time.sleep(max(0.0, start + i / RATE - time.monotonic()))
        yield replace(picture(i), captured_ns=time.monotonic_ns(), sequence=i)


def play(frames: Iterator[Frame], settings: EngineSettings) -> tuple[list[Observation], StageTimes, int]:
    """What the engine saw, the times of its stages and the searches, as `fkp-edge run` does it."""
    times, seen = StageTimes(), list[Observation]()
    detect = RotatedDetector(HaarDetector(SearchSettings())).detect
    search = ThreadedSearch(detect, times, cpu_share=SearchSettings().cpu_share)
    engine = Engine(open_model(shipped_model()), search, settings, times=times)
    Runtime(FakeCamera(frames, live=True), engine, [lambda _, observation: seen.append(observation)]).run()
    search.close()
    return seen, times, search.count


def frame_times(demo: DemoSource) -> dict[str, Any]:
    """Of `Engine.process`, one face tracked: with no search, and with one always looking for a second face."""
    frames = [demo.frame(i, 0) for i in range(SECONDS * RATE)]
    found: dict[str, Any] = {}
    for name, settings in (("alone", EngineSettings()), ("searching", EngineSettings(max_faces=2, new_face_every_s=0))):
        seen, times, searches = play(paced(lambda i: frames[i], len(frames)), settings)
        spent = np.array(times.newest_ns("engine")[RATE:]) / 1e6
        tracked = sum(o.state is State.TRACKING for o in seen)
        p50, p99 = np.percentile(spent, [50, 99])
        found[name] = {
            "frames": len(spent),
            "tracked": tracked,
            "searches": searches,
            "p50_ms": round(float(p50), 3),
            "p99_ms": round(float(p99), 3),
            "p99_over_p50": round(float(p99 / p50), 2),
        }
    return found


def recovery(demo: DemoSource) -> dict[str, Any]:
    """From the first frame that shows a face again to the first that is tracked, seconds."""
    rng = np.random.default_rng(0)
    shown = [demo.frame(i, 0) for i in rng.integers(0, 190, RETURNS)]  # upright, of all sizes and places
    empty = replace(shown[0], grey=np.full_like(shown[0].grey, 128), truth=None)
    cycle = SHOWN_FRAMES + GONE_FRAMES

    def picture(i: int) -> Frame:
        turn, at = divmod(i, cycle)
        return empty if at < GONE_FRAMES else shown[turn]

    seen, _, _ = play(paced(picture, RETURNS * cycle), EngineSettings())
    waits = []
    for turn in range(RETURNS):
        back = [o for o in seen if turn * cycle + GONE_FRAMES <= o.sequence < (turn + 1) * cycle]
        found = next((o for o in back if o.state is State.TRACKING), None)
        waits.append((found.captured_ns - back[0].captured_ns) / 1e9 if found else float("inf"))
    return {
        "returns": RETURNS,
        "found": int(np.isfinite(waits).sum()),
        "median_s": round(float(np.median(waits)), 3),
        "most_s": round(float(max(waits)), 3),
    }


def main(out: Path) -> None:
    """Prints and writes both."""
    cv2.setNumThreads(1)
    demo = DemoSource(pace=False)
    record = {
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "frame_times": [frame_times(demo) for _ in range(ROUNDS)],
        "recovery": recovery(demo),
    }
    out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
