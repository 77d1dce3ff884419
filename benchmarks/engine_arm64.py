"""Whether the engine gives the same points on a Pi 4's and a Pi 5's core, and its instructions a frame and a search.

Usage: python benchmarks/engine_arm64.py ROOTS OUT.json     (ROOTS as arm64/README.md says; some minutes)

Frames are the demo's first, where the portrait stands still and then moves. Instructions are not time.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from instructions import BOARDS, HERE, emulator

from fkp_edge.device.sources import DemoSource
from fkp_edge.interpreter import open_model
from fkp_edge.models import shipped_model

USERLANDS = ("bookworm", "trixie")
FRAMES = 60


def follow(command: Sequence[str | Path], environment: Mapping[str, str] | None, folder: Path) -> tuple[Any, str]:
    """The points that the engine reports there, and what it wrote to stderr."""
    files = [folder / "frames.npy", folder / "points.npy"]
    full = [*command, HERE / "arm64/follow.py", *files]
    done = subprocess.run(full, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, full))} ended with {done.returncode}: {done.stderr[-2000:]}")
    return np.load(files[1]), done.stderr


def counted(text: str) -> dict[str, int]:
    """Instructions of a search, and of a tracked frame (the median): the first mark stands before the search."""
    marks = [int(count) for count in re.findall(r"^MARK thread=(\d+)", text, re.MULTILINE)]
    assert len(marks) == FRAMES + 2, f"{len(marks)} marks, expected {FRAMES + 2}"
    steps = np.diff(marks)
    return {"search": int(steps[0]), "tracked_frame": int(np.median(steps[2:]))}


def main(roots: Path, out: Path) -> None:
    """Prints and writes a row a core and userland."""
    demo = DemoSource(pace=False)
    frames = np.stack([demo.frame(i, 0).grey for i in range(FRAMES)])
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "frames.npy", frames)
        here = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        truth, _ = follow([sys.executable], here, folder)
        for userland in USERLANDS:
            for board_name, board in BOARDS.items():
                plugin = roots.resolve() / "insn.so"
                command, environment = emulator(roots, board, userland=userland, site=HERE.parent, plugin=plugin)
                points, text = follow(command, environment, folder)
                away = float(np.linalg.norm(points - truth, axis=2).max())  # NaN where one saw no face
                row = {"machine": f"{board_name} {userland}", "points_within_px": round(away, 6)}
                rows.append(row | {"instructions": counted(text)})
                print(rows[-1], flush=True)
    sha256 = open_model(shipped_model()).file.sha256
    out.write_text(json.dumps({"model_sha256": sha256, "frames": FRAMES, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
