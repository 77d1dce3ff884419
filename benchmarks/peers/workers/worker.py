"""What every peer's worker does: takes jobs on stdin, looks at each picture, writes points and times. NumPy only.

A job is a line of JSON: `pictures` (a .npz, or the stem of a video's .grey.npy and .rgb.npy), `video`, `frame_ns` of a
video, `most` (faces to look for), `out`, and optionally `boxes` (a .npy of one box [x, y, w, h] a picture, NaN where
there is none) or `looks` (at each photograph, for who tracks). The answer is a line with the versions in use. Peers run
in environments of their own, so that this file knows none of them.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Pixels = Literal["grey", "rgb"]
Box = tuple[float, float, float, float]


class Face(NamedTuple):
    """One face that a peer reports."""

    points: NDArray[np.floating]
    """(K, 2), pixels of the picture, in the peer's own order."""
    box: Box | None = None
    """Where its detector saw it, if it says."""


class Looker(NamedTuple):
    """A peer ready to look at the pictures of one job."""

    look: Callable[[Picture, Box | None, int], Any]
    """The timed part: picture, given box, index -> the peer's own result."""
    read: Callable[[Any, Picture], Sequence[Face]]
    """The faces in such a result. Not timed."""
    pixels: Pixels = "grey"
    """What it is to be shown."""


def pin(core: int) -> None:
    """Keeps this process, and the threads it will start, on `core`. Call it before a library starts its threads."""
    os.sched_setaffinity(0, {core})


def serve(begin: Callable[[dict[str, Any]], Looker], versions: dict[str, str]) -> None:
    """Does the jobs of stdin until it ends; `begin` makes a Looker that has seen nothing yet."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no answer
    for line in sys.stdin:
        job = json.loads(line)
        np.savez(job["out"], **run(job, begin(job)))
        answers.write(json.dumps(versions) + "\n")


def run(job: dict[str, Any], looker: Looker) -> dict[str, NDArray[Any]]:
    """Every picture of `job` once: whose face, points, boxes, and wall and CPU nanoseconds a picture."""
    boxes = np.load(job["boxes"]) if "boxes" in job else None
    found: list[tuple[int, Face]] = []
    wall, cpu = [], []
    for index, picture in enumerate(read_pictures(job, looker.pixels)):
        box = None if boxes is None else tuple(boxes[index].tolist())
        started, used = time.perf_counter_ns(), time.process_time_ns()
        result = looker.look(picture, box, index)
        cpu.append(time.process_time_ns() - used)
        wall.append(time.perf_counter_ns() - started)
        found += [(index, face) for face in looker.read(result, picture)]
    return {
        "picture": np.array([index for index, _ in found], np.int64),
        "points": np.array([face.points for _, face in found], np.float32),
        "boxes": np.array([face.box or (np.nan,) * 4 for _, face in found], np.float64).reshape(-1, 4),
        "wall_ns": np.array(wall),
        "cpu_ns": np.array(cpu),
    }


def read_pictures(job: dict[str, Any], pixels: Pixels) -> Iterator[Picture]:
    """The pictures of a job one by one, contiguous and in memory: what is timed does not wait for a disk."""
    if job["video"]:
        color = Path(job["pictures"] + ".rgb.npy")
        as_color = pixels == "rgb" and color.exists()
        for frame in np.load(color if as_color else job["pictures"] + ".grey.npy", mmap_mode="r"):
            yield _in_pixels(np.array(frame), pixels)
        return
    with np.load(job["pictures"]) as file:
        for index in range(sum(name.startswith("grey") for name in file)):
            name = f"{pixels}{index}"
            yield _in_pixels(file[name] if name in file else file[f"grey{index}"], pixels)


def _in_pixels(picture: Picture, pixels: Pixels) -> Picture:
    if pixels == "rgb" and picture.ndim == 2:
        return np.repeat(picture[..., None], 3, axis=2)
    return np.ascontiguousarray(picture)
