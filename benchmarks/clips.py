"""How much of each clip is tracked, of one face and of up to four: `fkp-edge run` on a folder's videos and the demo.

Usage: python benchmarks/clips.py DATA OUT.json     (DATA has clips/*.mp4)
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

from fkp_edge.stream.protocol.messages import FaceMessage, ObservationMessage
from fkp_edge.stream.recording.recording import read_recording


def run(source: str) -> dict[str, Any]:
    """The summary of a run for one face, without its times, which belong to the machine; and who was seen of four."""
    summary = json.loads(fkp_edge_run(source))
    kept = {key: summary[key] for key in ("frames", "states", "faces", "searches", "jitter_px")}
    with tempfile.TemporaryDirectory() as folder:
        recording = Path(folder) / "stream.jsonl"
        fkp_edge_run(source, "--max-faces", "4", "--no-smoothing", "--record", str(recording))
        return kept | {"of_four": people(recording)}


def fkp_edge_run(source: str, *options: str) -> str:
    """What one run prints."""
    command = [sys.executable, "-m", "fkp_edge", "run", "--source", source, "--fast", "--json"]
    command += ["--stream", "tcp://127.0.0.1:0", *options]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def people(recording: Path) -> dict[int, dict[str, float]]:
    """Of each id: in how many frames it was seen, the first and last of them, and its longest step in sides a frame.

    A swap of two ids shows as a step as long as the two are apart, over a side.
    """
    seen: dict[int, list[tuple[int, FaceMessage]]] = {}
    for _, message in read_recording(recording):
        if isinstance(message, ObservationMessage) and message.state == "tracking":
            for face in message.faces:
                seen.setdefault(face.id, []).append((message.sequence, face))
    return {
        number: {
            "frames": len(faces),
            "first": faces[0][0],
            "last": faces[-1][0],
            "longest_step": round(max((step(a, b) for a, b in pairwise(faces)), default=0.0), 3),
        }
        for number, faces in seen.items()
    }


def step(a: tuple[int, FaceMessage], b: tuple[int, FaceMessage]) -> float:
    """How far a face moved a frame, in sides of its box."""
    (ax, ay, aw, ah), (bx, by, bw, bh) = a[1].box, b[1].box
    return math.hypot(bx + bw / 2 - ax - aw / 2, by + bh / 2 - ay - ah / 2) / aw / (b[0] - a[0])


def main(data: Path, out: Path) -> None:
    """Prints and writes a row a clip."""
    rows = {path.name: run(str(path)) for path in sorted((data / "clips").glob("*.mp4"))}
    rows["demo"] = run("demo")
    out.write_text(json.dumps(rows, indent=1) + "\n")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
