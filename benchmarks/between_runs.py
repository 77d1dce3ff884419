"""What two runs of one program differ by beyond what `fkp-edge bench compare` can tell from one run of each.

    python benchmarks/between_runs.py OUT [--runs 6] [--seconds 10]

Measures the shipped int8 file with `fkp-edge bench`, a process each time, and compares every two runs. Of each time
and of frames lost the excess: how far, in percent, its interval of the change lies from 0 without
`BETWEEN_RUNS_PERCENT`; 0 where it holds it, as 95 % should. That constant of fkp_edge/bench/compare.py is the excess
that 95 % of all stay within, rounded up.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from fkp_edge.bench.compare import BETWEEN_RUNS_PERCENT, Change, compare
from fkp_edge.bench.records import Result, read_result

TIMEOUT_S = 600


def measure(path: Path, seconds: float) -> Result:
    """One run of the benchmark, in a process of its own."""
    command = [sys.executable, "-m", "fkp_edge", "bench", "keypoints-int8", "--threads", "1"]
    command += ["--seconds", f"{seconds:g}", "--report", str(path)]
    subprocess.run(command, check=True, timeout=TIMEOUT_S, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return read_result(path)


def excess(change: Change) -> float:
    """How far, percent, 0 lies outside the interval that the spans and the reference give."""
    assert change.interval_percent
    low, high = change.interval_percent
    return round(max(low + BETWEEN_RUNS_PERCENT, -(high - BETWEEN_RUNS_PERCENT), 0.0), 2)


def summary(results: list[Result]) -> dict[str, Any]:
    """Excesses of the times of every two runs."""
    found: dict[str, list[float]] = {}
    for before, after in itertools.combinations(results, 2):
        for change in compare(before, after).changes:
            if change.figure.endswith((" ms", " received")) and change.interval_percent:
                found.setdefault(change.figure, []).append(excess(change))
    first = results[0].before
    every = np.array([value for values in found.values() for value in values])
    return {
        "machine": {"processor": first.cpu, "cores": first.cores},
        "load_1_min": [result.load_before for result in results],
        "runs": len(results),
        "comparisons": len(every),
        "outside_percent": round(100 * float((every > 0).mean()), 1),
        "outside_allowed_percent": round(100 * float((every > BETWEEN_RUNS_PERCENT).mean()), 1),
        "excess_p95_percent": round(float(np.percentile(every, 95)), 2),
        "excess_max_percent": float(every.max()),
        "excess_percent": found,
    }


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--runs", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=10)
    args = parser.parse_args()
    results = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(args.runs):
            results.append(measure(Path(folder) / f"{number}.json", args.seconds))
            print(f"run {number + 1} of {args.runs}", file=sys.stderr, flush=True)
    found = summary(results)
    args.out.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps({name: value for name, value in found.items() if name != "excess_percent"}))


if __name__ == "__main__":
    main()
