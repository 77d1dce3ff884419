"""`fkp-edge tune`: reads a recording, sweeps the smoothing over it, prints the lines for the configuration."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path

import cv2
import numpy as np

from fkp_edge.core.files import write_whole
from fkp_edge.core.settings import format_toml
from fkp_edge.device.tracking.smoothing import SmoothingSettings
from fkp_edge.device.tune import Followed, Setting, knee, plot, sweep
from fkp_edge.errors import InputError
from fkp_edge.stream.protocol.messages import FaceMessage, Hello
from fkp_edge.stream.recording.recording import is_smoothed, read_recording

__all__ = ["tune"]

LONGEST_GAP_NS = 200_000_000


def tune(args: Namespace) -> int:
    """Prints the knee of jitter against lag as configuration; 0."""
    if args.plot and args.plot.suffix.lower() != ".png":
        raise InputError(f"--plot {args.plot} is no FILE.png; expected a name that ends in .png")
    if is_smoothed(args.recording):
        raise InputError(
            f"the points in {args.recording} are smoothed already; "
            "record with fkp-edge run --no-smoothing --record FILE"
        )
    raw, settings = sweep(_read(args.recording))
    chosen = knee(settings)
    if args.plot:
        write_whole({args.plot: cv2.imencode(".png", plot(raw, settings, chosen))[1].tobytes()})
        print(f"jitter against lag: {args.plot}", file=sys.stderr)
    if args.json:
        rows = [setting._asdict() for setting in settings]
        unsmoothed = {"jitter_px": raw.jitter_px, "lag_ms": raw.lag_ms}
        print(json.dumps({"unsmoothed": unsmoothed, "chosen": chosen._asdict(), "settings": rows}))
        return 0
    print(f"# {_figures('not smoothed', raw)}; {_figures('so', chosen)}")
    lines = SmoothingSettings(min_cutoff_hz=chosen.min_cutoff_hz, beta=chosen.beta)
    print(f"[smoothing]\n{format_toml(lines)}", end="")
    return 0


def _figures(name: str, setting: Setting) -> str:
    return f"{name}: jitter {setting.jitter_px:.2f} px, lag {setting.lag_ms:.0f} ms"


def _read(path: Path) -> list[Followed]:
    """The faces of a recording, each as long as it was tracked without a gap."""
    runs: list[list[tuple[int, FaceMessage]]] = []
    open_runs: dict[int, list[tuple[int, FaceMessage]]] = {}
    size: tuple[float, float] = (np.inf, np.inf)
    for _, message in read_recording(path):
        if isinstance(message, Hello):
            open_runs, size = {}, message.frame_size or size  # another run of the device: its ids and clock are others
            continue
        for face in message.faces if message.state == "tracking" else ():
            if face.held or not all(0 <= x < size[0] and 0 <= y < size[1] for x, y in face.points):
                continue  # held, or cut by the picture's edge: the network guesses the rest
            run = open_runs.get(face.id)
            gap = message.captured_ns - run[-1][0] if run else 0
            if run is None or gap > LONGEST_GAP_NS or len(run[-1][1].points) != len(face.points):
                runs.append(run := [])
                open_runs[face.id] = run
            if not run or gap > 0:  # a message that repeats a frame says nothing new
                run.append((message.captured_ns, face))
    return [_followed(run) for run in runs if len(run) > 1]


def _followed(run: list[tuple[int, FaceMessage]]) -> Followed:
    return Followed(
        np.array([at_ns for at_ns, _ in run], np.int64),
        np.array([face.points for _, face in run], np.float64),
        np.array([max(face.box[2], 1.0) for _, face in run], np.float64),
    )
