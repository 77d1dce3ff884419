"""Whether this machine and the cores of a Pi 4 and a Pi 5 reproduce what model files gave on the desktop.

Usage: python benchmarks/reproduction.py ROOTS OUT.json MODEL [MODEL ...]

Runs `fkp-edge verify` here and in each arm64 userland of ROOTS, made as arm64/README.md says. A minute.
"""

from __future__ import annotations

import json
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from emulated_pi import BOARDS, HERE, USERLANDS, emulator


def verify(command: Sequence[str | Path], environment: Mapping[str, str] | None, model: str) -> dict[str, Any]:
    """What `fkp-edge verify --json` says there of `model`."""
    full = [*command, "-m", "fkp_edge", "verify", model, "--json"]
    done = subprocess.run(full, env=environment, capture_output=True, text=True, cwd=HERE.parent)
    if done.returncode not in {0, 1}:
        raise SystemExit(f"{' '.join(map(str, full))} ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


def summary(found: Mapping[str, Any]) -> dict[str, Any]:
    """The largest difference of each stage, of all that verify says."""
    stages = {d["stage"]: {"unit": d["unit"], "allowed": 0.0, "found": 0.0} for d in found["differences"]}
    for d in found["differences"]:
        stages[d["stage"]]["found"] = max(stages[d["stage"]]["found"], d["found"])
        stages[d["stage"]]["allowed"] = max(stages[d["stage"]]["allowed"], d["allowed"])
    kept = ("model", "sha256", "runs_on", "reproduces", "distance_px")
    return {name: found[name] for name in kept} | {"stages": stages}


def measure(roots: Path, models: Sequence[str]) -> Iterator[dict[str, Any]]:
    """A row a machine and model: this one, then each core in each userland that is there."""
    for model in models:
        yield {"machine": platform.machine()} | summary(verify([sys.executable], None, model))
    for userland in (name for name in USERLANDS if (roots / name).is_dir()):
        for name, board in BOARDS.items():
            command, environment = emulator(roots, board, userland=userland, site=HERE.parent)
            for model in models:
                yield {"machine": f"{name} {userland}"} | summary(verify(command, environment, model))


def main(roots: Path, out: Path, models: Sequence[str]) -> None:
    """Prints the rows as they come and writes them."""
    rows = []
    for row in measure(roots, models):
        print(f"{row['machine']:<14}{row['model']:<30}{row['runs_on']:<14}within {row['distance_px']:.6f} px")
        rows.append(row)
    out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3:])
