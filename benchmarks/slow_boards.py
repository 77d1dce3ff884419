"""Slow boards: a live pipe under a CPU quota: time to first keypoints, frames a second, age, by share of a core.

    python benchmarks/slow_boards.py OUT.json [--shares 0.3 0.06] [--methods haar]     (root, cgroups; five minutes)

`fkp-edge run` starts freely; then its process is held to the share, and the demo's frames come at 30 a second for as
long as its face is there. A frame that the board is too slow to read is not sent: a camera would drop it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import numpy as np
from performance_page import REPOSITORY, fill, table

from fkp_edge.device.board import read_board
from fkp_edge.device.sources import DemoSource
from fkp_edge.model.shipped import shipped_model
from fkp_edge.stream.protocol.messages import ObservationMessage
from fkp_edge.stream.recording.recording import read_recording

SHARES = (0.3, 0.12, 0.06, 0.03)
METHODS = ("both", "haar", "finder")
METHOD_NAMES = {"haar": "Haar", "finder": "finder", "both": "both"}
BOARDS = REPOSITORY / "docs/boards.md"
RATE = 30
SECONDS = 9
"""Of the demo, until its face leaves."""
PERIOD_US = 50_000
GROUPS = Path("/sys/fs/cgroup")
START_S = 120


class NoQuotaError(Exception):
    """This machine gives no CPU quota."""


@contextmanager
def quota(share: float) -> Iterator[Path]:
    """A control group of `share` of a core (version 1 or 2): its file that takes the processes to hold.

    Raises:
        NoQuotaError: not root, or no such groups.
    """
    parent = GROUPS / "cpu" if (GROUPS / "cpu").is_dir() else GROUPS
    group = parent / f"fkp-edge-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        raise NoQuotaError(f"cannot make {group}: {error.strerror}; run as root, with control groups") from error
    try:
        try:
            if (group / "cpu.max").exists():
                (group / "cpu.max").write_text(f"{round(share * PERIOD_US)} {PERIOD_US}")
            else:
                (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                (group / "cpu.cfs_quota_us").write_text(str(round(share * PERIOD_US)))
        except OSError as error:
            raise NoQuotaError(f"{group} takes no quota: {error.strerror or error}") from error
        yield group / "cgroup.procs"
    finally:
        for _ in range(100):  # busy until its last process is gone
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.05)


def play(share: float, method: str, *, seconds: float = SECONDS) -> dict[str, Any]:
    """A run of `fkp-edge run` on the demo's frames, held to `share` of a core."""
    demo = DemoSource(pace=False)
    frames = [demo.frame(i, 0).grey.tobytes() for i in range(round(SECONDS * RATE))]
    height, width = demo.frame(0, 0).grey.shape
    with tempfile.TemporaryDirectory() as folder, quota(share) as held:
        recording = Path(folder) / "stream.jsonl"
        command = [sys.executable, "-m", "fkp_edge", "run", "--source", f"gray:{width}x{height}", "--json"]
        command += ["--stream", "tcp://127.0.0.1:0", "--record", str(recording), "--search", method]
        with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, stderr=PIPE) as process:
            assert process.stdin
            assert process.stdout
            assert process.stderr
            said: list[str] = []
            ready = threading.Event()
            reader = threading.Thread(target=_listen, args=(process.stderr, said, ready), daemon=True)
            reader.start()
            if not ready.wait(START_S):
                process.kill()
                raise SystemExit("".join(said) or "fkp-edge run did not start")
            held.write_text(str(process.pid))
            sent = _feed(process.stdin.fileno(), frames, seconds)
            process.stdin.close()
            summary = json.loads(process.stdout.read())
            reader.join()
        return {"share": share, "method": method, "sent": sent} | _figures(recording, summary, said)


def _listen(pipe: Any, said: list[str], ready: threading.Event) -> None:
    for line in pipe:
        said.append(line.decode())
        if b"streaming on" in line:
            ready.set()


def _feed(pipe: int, frames: list[bytes], seconds: float) -> int:
    """Writes the frame of the hour, again and again; how many."""
    start, sent, last = time.monotonic(), 0, -1
    while (now := time.monotonic() - start) < seconds:
        index = int(now * RATE)
        if index == last:
            time.sleep(0.002)
            continue
        left = memoryview(frames[index % len(frames)])
        while left:
            left = left[os.write(pipe, left) :]
        sent, last = sent + 1, index
    return sent


def _figures(recording: Path, summary: dict[str, Any], said: list[str]) -> dict[str, Any]:
    seen = [m for _, m in read_recording(recording) if isinstance(m, ObservationMessage) and m.captured_ns]
    first_of = {m.sequence: m for m in reversed(seen)}  # repeated while no frame comes
    frames = [first_of[sequence] for sequence in sorted(first_of)]
    start = frames[0].captured_ns
    tracked = next((m for m in frames if m.state == "tracking"), None)
    ages = np.array([m.sent_ns - m.captured_ns for m in frames if m.state == "tracking"]) / 1e9
    span = (frames[-1].captured_ns - start) / 1e9
    return {
        "frames": len(frames),
        "tracked": len(ages),
        "searches": summary["searches"],
        "first_keypoints_s": round((tracked.sent_ns - start) / 1e9, 2) if tracked else None,
        "frames_per_s": round((len(frames) - 1) / span, 1) if span else None,
        "age_p50_s": round(float(np.median(ages)), 3) if len(ages) else None,
        "age_p95_s": round(float(np.percentile(ages, 95)), 3) if len(ages) else None,
        "warned": any("a search for faces takes" in line for line in said),
    }


def page(record: dict[str, Any]) -> str:
    """What stands in docs/boards.md."""
    rows = [
        (
            f"{100 * row['share']:g} %",
            METHOD_NAMES[row["method"]],
            "not found" if row["first_keypoints_s"] is None else f"{row['first_keypoints_s']:.1f} s",
            f"{row['frames_per_s']:.1f}",
            "-" if row["age_p50_s"] is None else f"{1000 * row['age_p50_s']:.0f} ms",
            "-" if row["age_p95_s"] is None else f"{1000 * row['age_p95_s']:.0f} ms",
        )
        for row in record["rows"]
    ]
    head = ("share of a core", "search", "first keypoints after", "frames a second", "age, median", "age, p95")
    machine, period = record["machine"]["processor"], record["period_ms"]
    return f"""\
{table(head, rows)}

One core of {machine} held to a share by a control group, in periods of {period:g} ms; the demo
on a pipe, {record["frame"]}, with `{record["model"]}` and the defaults. Age: from when a frame was there
to when its points were sent."""


def main() -> None:
    """Prints a row a share and method, and writes all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--shares", type=float, nargs="+", default=SHARES)
    parser.add_argument("--methods", nargs="+", default=METHODS)
    args = parser.parse_args()
    rows = []
    for share in args.shares:
        for method in args.methods:
            rows.append(play(share, method))
            print(rows[-1], flush=True)
    board = read_board()
    record = {
        "machine": {"processor": board.cpu, "cores": board.cores, "load_1_min": round(os.getloadavg()[0], 2)},
        "model": shipped_model().stem,
        "frame": "640x480 at 30 a second",
        "period_ms": PERIOD_US / 1000,
        "rows": rows,
    }
    args.out.write_text(json.dumps(record, indent=1) + "\n")
    BOARDS.write_text(fill(BOARDS.read_text(), "slow boards", page(record)))


if __name__ == "__main__":
    main()
