"""What a long run costs: memory over 100,000 frames, and the share of a core that searching for nobody takes.

Usage: python benchmarks/soak.py OUT.json [FRAMES]     (two to five minutes)
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fkp_edge.core.observation import Frame, Observation
from fkp_edge.device.detection.haar import HaarDetector, RotatedDetector
from fkp_edge.device.detection.search import InlineSearch, SearchSettings, ThreadedSearch
from fkp_edge.device.runtime import Runtime
from fkp_edge.device.sources import DemoSource, FakeCamera
from fkp_edge.device.summary import Summary
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.engine import Engine, EngineSettings
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model

WARM_FRAMES = 10_000
SEARCH_S = 20.0
RATE = 30


def resident_mb() -> float:
    """Memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS in /proc/self/status")


def memory(count: int) -> dict[str, Any]:
    """Resident memory after the warm-up and at the end of `count` frames of the demo, played over and over."""
    demo = DemoSource(pace=False)
    frames = [demo.frame(i, 0) for i in range(0, 376, 2)]
    model, times = open_model(shipped_model()), StageTimes()
    search = InlineSearch(RotatedDetector(HaarDetector()).detect, times)
    seen: dict[int, float] = {}

    def play() -> Iterator[Frame]:
        for i in range(count):
            yield replace(frames[i % len(frames)], captured_ns=i * 33_333_333, sequence=i)

    def note(_: Frame | None, observation: Observation) -> None:
        if observation.sequence in (WARM_FRAMES, count - 1):
            seen[observation.sequence] = resident_mb()

    engine = Engine(model, search, EngineSettings(max_faces=2), times=times)
    Runtime(FakeCamera(play()), engine, [Summary(model.schema.mean_shape, times), note]).run()
    warm, end = seen[WARM_FRAMES], seen[count - 1]
    return {"frames": count, "warm_mb": round(warm, 2), "end_mb": round(end, 2), "grown_mb": round(end - warm, 2)}


def searching() -> dict[str, Any]:
    """CPU of the process while it searches 640x480 frames of noise without a face at 30 a second."""
    settings = SearchSettings()
    rng = np.random.default_rng(0)
    picture = cv2.GaussianBlur(rng.integers(0, 256, (480, 640), np.uint8), (0, 0), 3)
    search = ThreadedSearch(RotatedDetector(HaarDetector(settings)).detect, cpu_share=settings.cpu_share)
    engine = Engine(open_model(shipped_model()), search)
    start, used = time.monotonic(), time.process_time()
    for i in range(int(SEARCH_S * RATE)):
        engine.process(Frame(np.asarray(picture, np.uint8), time.monotonic_ns(), i))
        time.sleep(max(0.0, start + (i + 1) / RATE - time.monotonic()))
    wall, used = time.monotonic() - start, time.process_time() - used
    search.close()
    return {"searches": search.count, "cpu_share": round(used / wall, 3), "allowed": settings.cpu_share}


def main(out: Path, count: int) -> None:
    """Prints and writes both."""
    cv2.setNumThreads(1)
    record = {"searching": searching(), "memory": memory(count)}
    out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 100_000)
