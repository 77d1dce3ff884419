"""What a tracked frame costs beside the network alone: Engine.process against invoke, same run, one thread.

Usage: python benchmarks/engine_cost.py OUT.json     (the demo's first 240 frames, 640x480; ratios, not times, travel)

Each frame is copied just before it is processed: every source hands over pixels that it has just written.
"""

from __future__ import annotations

import json
import platform
import sys
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from fkp_edge.core.observation import State
from fkp_edge.device.detection.haar import HaarDetector
from fkp_edge.device.detection.search import InlineSearch
from fkp_edge.device.sources import DemoSource
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model

ROUNDS = 20


def main(out: Path) -> None:
    """Alternates tracked frames with plain invokes, so that both meet the same neighbours on a shared machine."""
    cv2.setNumThreads(1)
    demo = DemoSource(pace=False)
    frames = [demo.frame(i, i * 33_333_333) for i in range(240)]
    results = []
    for name in ("keypoints-int8", "keypoints-float32"):
        model = open_model(shipped_model(name), threads=1)
        crop = np.ascontiguousarray(frames[0].grey[200:296, 280:376])
        process, invoke = [], []
        for _ in range(ROUNDS):
            engine = Engine(model, InlineSearch(HaarDetector().detect))
            for kept in frames:
                frame = replace(kept, grey=kept.grey.copy())  # just written, as sources hand them over
                start = time.perf_counter_ns()
                state = engine.process(frame).state
                middle = time.perf_counter_ns()
                model.invoke(crop)
                end = time.perf_counter_ns()
                if frame.sequence > 0 and state is State.TRACKING:  # the first frame searches
                    process.append(middle - start)
                    invoke.append(end - middle)
        ratio = float(np.median(process) / np.median(invoke))
        results.append(
            {
                "model": name,
                "sha256": model.file.sha256,
                "frames": len(process),
                "process_over_invoke": round(ratio, 3),
                "process_p50_us": round(float(np.median(process)) / 1000, 1),
                "invoke_p50_us": round(float(np.median(invoke)) / 1000, 1),
            }
        )
    record = {"machine": platform.machine(), "python": platform.python_version(), "results": results}
    out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
