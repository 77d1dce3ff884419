"""What `fkp_edge.Tracker` costs beside the engine it wraps: the same frames through both, one thread.

Usage: python benchmarks/tracker_cost.py OUT.json     (the demo's first 240 frames, 640x480; ratios, not times, travel)

Both are given the same arrays, which are copied just before: a camera hands over pixels that it has just written. For
colours the engine's side pays the conversion to grey, too, as every program must. The two take turns at each frame, the
first of them changing, and what counts is the thread's own processor time: other programs on the machine then weigh
little.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

import fkp_edge as fkp
from fkp_edge.core.observation import Frame
from fkp_edge.device.detection.search import open_search
from fkp_edge.device.sources import DemoSource
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.device.tracking.smoothing import SmoothingSettings

ROUNDS = 20
FRAMES = 240


def main(out: Path) -> None:
    """Measures grey and colour frames, and how long the import takes."""
    cv2.setNumThreads(1)
    demo = DemoSource(pace=False)
    grey = [demo.frame(number, number * 33_333_333).grey for number in range(FRAMES)]
    colour = [np.asarray(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR), np.uint8) for frame in grey]
    model = fkp.load()
    record = {
        "machine": platform.machine(),
        "python": platform.python_version(),
        "model": model.file.path.stem,
        "model_sha256": model.file.sha256,
        "frames": ROUNDS * (FRAMES - 1),
        "grey": compare(model, grey),
        "bgr": compare(model, colour),
    }
    out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


def compare(model: fkp.KeypointModel, frames: list[NDArray[np.uint8]]) -> dict[str, float]:
    """Medians of both, and the median of what the tracker took more at one frame."""
    tracker_ns, engine_ns = [], []
    for turn in range(ROUNDS):
        times = StageTimes()
        engine = Engine(
            model, open_search(fkp.SearchSettings(), times, live=False), None, SmoothingSettings(), times=times
        )
        with fkp.Tracker(model) as tracker:
            for number, kept in enumerate(frames):
                mine, its = kept.copy(), kept.copy()
                took = {}
                for name in ("tracker", "engine") if (turn + number) % 2 else ("engine", "tracker"):
                    start = time.thread_time_ns()
                    if name == "tracker":
                        tracker(mine, time_s=number / 30)
                    else:
                        pixels = its if its.ndim == 2 else np.asarray(cv2.cvtColor(its, cv2.COLOR_BGR2GRAY), np.uint8)
                        engine.process(Frame(pixels, round(number / 30 * 1e9), number))
                    took[name] = time.thread_time_ns() - start
                if number:  # the first frame searches
                    tracker_ns.append(took["tracker"])
                    engine_ns.append(took["engine"])
    medians = [float(np.median(ns)) for ns in (tracker_ns, engine_ns)]
    more = np.median(np.array(tracker_ns) - np.array(engine_ns))
    return {
        "tracker_p50_us": round(medians[0] / 1000, 1),
        "engine_p50_us": round(medians[1] / 1000, 1),
        "more_p50_us": round(float(more) / 1000, 1),
        "tracker_over_engine": round(1 + float(more) / medians[1], 4),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
