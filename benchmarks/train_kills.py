"""A training killed with SIGKILL at every system call of its epochs' ends, each time resumed.

    python benchmarks/train_kills.py OUT.json [--points 100]     (40 minutes; Linux on x86-64)

One run of `fkp-edge train RECIPE --resume` after another goes on in one folder, of a tiny network on drawn faces. The
n-th is ended just before the n-th system call that changes its folder (from the 51st on, from the first again), counted
from the moment at which its first epoch's line is to be written; an epoch's end has 27 or so, then counting goes on in
the next one's. Each run looks, when it has resumed, whether history and checkpoint say the same epoch. The last one
goes on to the end. Exit code 1 with the reasons where something is not as it should be.

Not in it: a power cut, after which the disk may lack what was not synced.
"""

from __future__ import annotations

import argparse
import collections
import csv
import json
import os
import re
import sys
import tempfile
import traceback
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from faults.syscalls import Killed, kill_before

from fkp_edge.cli.main import main as fkp_edge
from fkp_edge.core.geometry import HAAR_JITTER, crop_from_labels, extract, jittered
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data.kaggle import COLUMNS
from fkp_edge.data.pictures import portrait, portrait_points
from fkp_edge.train import run as _run  # noqa: F401 - read here, so that no fork has to
from fkp_edge.train.backend import tf

RECIPE = """
name = "tiny"
[data]
val = ["faces.csv"]
[data.train]
"faces.csv" = 1
[network]
stem = 4
blocks = [[4, 2, 1]]
head = 4
squeeze = 4
[fit]
epochs = {epochs}
batch = 8
negatives = 0
"""
CALLS = 50
"""Of two epochs' ends, about."""
MADE_UP, NUMBERS = re.compile(r"(?<=tempstate)\d+|(?<=tmp)[0-9a-f]{32}"), re.compile(r"(?<=ckpt)-\d+")
EPOCH = "epoch/.ATTRIBUTES/VARIABLE_VALUE"


def write_faces(path: Path, count: int = 8) -> None:
    """Jittered crops of the portrait, in Kaggle's format."""
    grey = np.asarray(cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY), np.uint8)
    points, rng = portrait_points(), np.random.default_rng(0)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*COLUMNS, "Image"])
        for _ in range(count):
            crop = jittered(crop_from_labels(points, FKP15), HAAR_JITTER, rng)
            pixels = extract(grey, crop).ravel()
            writer.writerow([*(crop.to_units(points) * 96 - 0.5).ravel().tolist(), " ".join(map(str, pixels))])


class Runs:
    """Runs of one training in a folder, each in a fork of this process, which has TensorFlow but has not used it."""

    def __init__(self, folder: Path, epochs: int) -> None:
        self.out = folder / "run"
        self._said = folder / "said.txt"
        (folder / "tiny.toml").write_text(RECIPE.format(epochs=epochs))
        self._arguments = ["train", str(folder / "tiny.toml"), "--data", str(folder), "--out", str(self.out)]
        write_faces(folder / "faces.csv")
        os.environ["XDG_CACHE_HOME"] = str(folder)

    def run(self, number: int | None) -> tuple[Killed | None, dict[str, Any]]:
        """Runs, ends it before the system call `number` (none: lets it end), and gives where, and what it resumed."""
        (heard, tell), (wait, go) = os.pipe(), os.pipe()
        process = os.fork()
        if not process:
            self._child(tell, wait)
        os.close(tell)
        os.close(wait)
        resumed = os.read(heard, 1000)  # empty where it ended before
        killed = kill_before(process, number or 10**9, self.out, go) if resumed else None
        if not resumed:
            os.waitpid(process, 0)
        os.close(heard)
        os.close(go)
        return killed, json.loads(resumed or "{}")

    @property
    def said(self) -> str:
        """On standard error, by the last run."""
        return self._said.read_text(errors="replace")

    def history(self) -> list[int]:
        """Its epochs."""
        return [json.loads(line)["epoch"] for line in (self.out / "history.jsonl").read_text().splitlines()]

    def _child(self, tell: int, wait: int) -> None:
        armed = True

        def hear(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal armed
            if armed and event == "open" and str(arguments[0]).endswith("history.jsonl") and "a" in str(arguments[1]):
                armed = False
                os.write(tell, json.dumps(self._resumed()).encode())
                os.read(wait, 1)

        sys.addaudithook(hear)
        try:
            with self._said.open("w") as said:
                os.dup2(said.fileno(), 1)
                os.dup2(said.fileno(), 2)
            tf.config.run_functions_eagerly(True)  # tracing them takes longer than the few steps here
            fkp_edge([*self._arguments, "--resume"])
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stderr.flush()
            os._exit(0)  # nothing of the parent's, such as its folder, is to be ended here

    def _resumed(self) -> dict[str, Any]:
        newest = tf.train.latest_checkpoint(self.out / "checkpoints")
        epoch = int(tf.train.load_variable(newest, EPOCH)) if newest else 0
        return {"checkpoint": epoch, "history": self.history() if (self.out / "history.jsonl").exists() else []}


def main() -> int:
    """Kills and resumes; the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--points", type=int, default=100)
    args = parser.parse_args()
    calls: collections.Counter[str] = collections.Counter()
    rows, violations = [], []
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(Path(folder).resolve(), args.points + 2)
        for number in [*range(1, args.points + 1), None]:
            killed, resumed = runs.run(number and 1 + (number - 1) % CALLS)
            whole = list(range(1, resumed.get("checkpoint", 0) + 1))
            if not resumed or resumed["history"] != whole or "Traceback" in runs.said:
                violations.append({"point": number, "resumed": resumed, "said": runs.said[-500:]})
            if number is not None and killed is None:
                violations.append({"point": number, "resumed": resumed, "said": "it was not killed"})
            if killed:
                file = MADE_UP.sub("*", killed.file)
                calls[f"{killed.call} {NUMBERS.sub('-N', file)}"] += 1
                rows.append(f"{number}: {len(whole)} epochs done, {killed.call} {file}")
            print(number, killed, resumed.get("checkpoint"), flush=True)
        if runs.history() != list(range(1, args.points + 3)) or not (runs.out / "model.keras").exists():
            violations.append({"point": None, "said": f"at the end the history is {runs.history()}"})
    result = {
        "command": f"python benchmarks/train_kills.py {args.out}",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "kills": len(rows),
        "calls": dict(calls.most_common()),
        "points": rows,
        "violations": violations,
    }
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{len(rows)} kills, {len(violations)} violations")
    return int(bool(violations) or len(rows) < args.points)


if __name__ == "__main__":
    sys.exit(main())
