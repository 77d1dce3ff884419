"""How much of each clip is tracked: runs `fkp-edge run` on every video of a folder, and on the demo.

Usage: python benchmarks/clips.py DATA OUT.json     (DATA has clips/*.mp4)
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any


def run(source: str) -> dict[str, Any]:
    """The summary of one run, without its times: they belong to the machine."""
    command = [sys.executable, "-m", "fkp_edge", "run", "--source", source, "--fast", "--json"]
    done = subprocess.run([*command, "--stream", "tcp://127.0.0.1:0"], check=True, capture_output=True, text=True)
    summary = json.loads(done.stdout)
    return {key: summary[key] for key in ("frames", "states", "faces", "searches", "jitter_px")}


def main(data: Path, out: Path) -> None:
    """Prints and writes a row a clip."""
    rows = {path.name: run(str(path)) for path in sorted((data / "clips").glob("*.mp4"))}
    rows["demo"] = run("demo")
    out.write_text(json.dumps(rows, indent=1) + "\n")
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
