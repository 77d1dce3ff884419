"""Whether the engine gives the same points on a Pi 4's and a Pi 5's core, and its instructions a frame and a search.

Usage: python benchmarks/engine_arm64.py ROOTS OUT.json     (ROOTS as arm64/README.md says; four minutes)

Every shipped network; frames are the demo's first, where the portrait stands still and then moves. Instructions are not
time.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from emulated_pi import BOARDS, HERE, USERLANDS, emulator, read_marks, stop, versions

from fkp_edge.device.sources import DemoSource
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model

FRAMES = 60
MODELS = sorted(path.stem for path in shipped_model().parent.glob("keypoints*.tflite"))


def follow(
    command: Sequence[str | Path], environment: Mapping[str, str] | None, folder: Path
) -> tuple[dict[str, np.ndarray], str]:
    """The points that the engine reports there with each network, and what it wrote to stderr."""
    files = [folder / "frames.npy", folder / "points.npz"]
    full = [*command, HERE / "arm64/follow.py", *files, *MODELS]
    done = subprocess.run(full, env=environment, capture_output=True, text=True, timeout=900)
    if done.returncode:
        stop(f"{' '.join(map(str, full))} ended with {done.returncode}: {done.stderr[-2000:]}")
    return dict(np.load(files[1])), done.stderr


def counted(text: str, models: Sequence[str] = MODELS) -> dict[str, Any]:
    """Instructions of a search, and of a tracked frame with each network: the median of all steps from frame to frame,
    so that the first, which searches, is left out."""
    marks = read_marks(text)
    assert len(marks) == 2 + FRAMES * len(models), f"{len(marks)} marks, expected {2 + FRAMES * len(models)}"
    steps = np.diff(np.reshape(marks[2:], (len(models), FRAMES)))
    tracked = {model: int(np.median(each)) for model, each in zip(models, steps, strict=True)}
    return {"search": marks[1] - marks[0], "tracked_frame": tracked}


def measure(roots: Path) -> dict[str, Any]:
    """A row a core and userland, each printed to stderr as it comes."""
    demo = DemoSource(pace=False)
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "frames.npy", np.stack([demo.frame(i, 0).grey for i in range(FRAMES)]))
        here = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        truth, _ = follow([sys.executable], here, folder)
        for userland, board in product(USERLANDS, BOARDS):
            command, environment = emulator(roots, BOARDS[board], userland=userland, site=HERE.parent, counting=True)
            points, text = follow(command, environment, folder)
            # NaN where one saw no face
            away = {model: float(np.linalg.norm(points[model] - truth[model], axis=2).max()) for model in MODELS}
            within = {model: round(pixels, 6) for model, pixels in away.items()}
            row = {"machine": f"{board} {userland}", "points_within_px": within, "instructions": counted(text)}
            print(row, file=sys.stderr, flush=True)
            rows.append(row)
    return {
        "versions": {userland: versions(roots, userland) for userland in USERLANDS},
        "model_sha256": open_model(shipped_model()).file.sha256,
        "frames": FRAMES,
        "rows": rows,
    }


def main(roots: Path, out: Path) -> None:
    out.write_text(json.dumps(measure(roots), indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
