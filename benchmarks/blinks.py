"""Blinks found and invented: labelled photographs whose eyes are shut by a warp, thirty times a second.

Usage: python benchmarks/blinks.py DATA OUT.json     (DATA has test/afw; `--set val/helen` for another set)

Nobody has labelled blinks that may be used here, so they are made. A face that looks ahead with open eyes (labels: yaw
within 25 degrees, lids at least a tenth of the pupils' distance apart) is shown for 20 s at 30 frames a second, as a
camera would see somebody who holds still: it sways by some pixels and a degree, and each frame has noise of its own
(standard deviation 3 of 255). Then it blinks ten times. In a blink the skin between brow and upper lid is drawn down
over the eye, its dark edge with it, and the eye is pressed together below it: within 50 ms to shut, shut for 100 ms,
open again within 50 ms, so that 150 ms pass from half shut to half open, at no fixed phase to the frames. Real lids
fold and show lashes; the corners of these eyes stay dark.

Found: a blink that the engine reports and that overlaps the true one, give or take a tenth of a second. Intervals
resample faces, each of which is one person.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.keypoints import IBUG68, Points
from fkp_edge.core.observation import Frame
from fkp_edge.data import load_one
from fkp_edge.device.detection.search import FakeSearch
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.device.tracking.pose import MeasureSettings, head_pose
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model

Grey = NDArray[np.uint8]
RATE = 30.0
FACES = 20
"""Of a set, drawn by chance: a face takes a minute."""
STILL_S, SETTLE_S, APART_S, BLINKS = 20.0, 4.0, 1.0, 10
RAMP_S, SHUT_S = 0.05, 0.1
NEAR_S = 0.1
MAX_YAW, LEAST_OPEN = 25.0, 0.1
EYES = ((range(36, 40), (36, 41, 40, 39)), (range(42, 46), (42, 47, 46, 45)))
"""Of each eye: the upper lid and the lower one, from corner to corner."""
LASHES = 0.35
"""Of an eye's height: how far above the labelled lid its dark edge goes, which comes down with it."""


class Seen(NamedTuple):
    """What the engine made of one face."""

    false: int
    """Blinks while it holds still."""
    found: int
    """Of `BLINKS`."""
    extra: int
    """Beside those."""


def shut(image: Grey, points: Points, share: float) -> Grey:
    """The face of `image` with its eyes `share` shut: 0 as they are, 1 lid on lid."""
    if share <= 0:
        return image
    rows, columns = np.indices(image.shape, np.float32)
    source = rows.copy()
    for upper, lower in EYES:
        lids = points[list(upper)], points[list(lower)]
        top, bottom = (np.interp(columns, lid[:, 0], lid[:, 1]) for lid in lids)
        left, right = float(lids[0][0, 0]), float(lids[0][-1, 0])
        height = float((lids[1][1:3, 1] - lids[0][1:3, 1]).mean())
        # nothing moves at the corners
        fade = np.sqrt(np.clip(np.minimum(columns - left, right - columns) / (0.25 * (right - left)), 0, 1))
        top = top - LASHES * height * fade
        brow = top - 1.5 * height * fade  # down to here the skin is stretched
        lid = top + share * (bottom - top) * fade
        skin, eye = (rows > brow) & (rows < lid), (rows >= lid) & (rows < bottom)
        inside = fade > 0
        source = np.where(skin & inside, brow + (rows - brow) * (top - brow) / np.maximum(lid - brow, 1e-3), source)
        source = np.where(eye & inside, top + (rows - lid) * (bottom - top) / np.maximum(bottom - lid, 1e-3), source)
    return np.asarray(cv2.remap(image, columns, source.astype(np.float32), cv2.INTER_LINEAR), np.uint8)


def closure(since_s: float) -> float:
    """How far a blink that began `since_s` ago has shut the eyes."""
    falling = (since_s / RAMP_S, (2 * RAMP_S + SHUT_S - since_s) / RAMP_S)
    return float(np.clip(min(falling), 0, 1))


def film(image: Grey, points: Points, begins_s: list[float], length_s: float, seed: int) -> Iterator[Frame]:
    """Frames of a face that sways a little and blinks at `begins_s`."""
    rng = np.random.default_rng(seed)
    cv2.setRNGSeed(seed)
    height, width = image.shape
    sway = rng.uniform(0, 2 * np.pi, (4, 2))
    for number in range(round(length_s * RATE)):
        at_s = number / RATE
        turn = 2 * np.pi * at_s * np.array([0.23, 0.31]) + sway
        dx, dy, degrees, scale = np.sin(turn).sum(1) * (0.01 * width, 0.01 * width, 0.5, 0.005)
        moved = cv2.getRotationMatrix2D((width / 2, height / 2), float(degrees), 1 + float(scale))
        moved[:, 2] += dx, dy
        picture = shut(image, points, max([closure(at_s - begin) for begin in begins_s], default=0.0))
        picture = cv2.warpAffine(picture, moved, (width, height), borderMode=cv2.BORDER_REPLICATE)
        noise = cv2.randn(np.empty((height, width), np.int16), 0, 3)
        noisy = np.asarray(cv2.add(picture, noise, dtype=cv2.CV_8U), np.uint8)
        yield Frame(noisy, round(at_s * 1e9), number)


def watch(model: KeypointModel, points: Points, frames: Iterator[Frame]) -> list[tuple[float, float]]:
    """The blinks that the engine reports, seconds."""
    left, right = IBUG68.eye_centers(points)
    side = float(np.hypot(*(left - right))) / 0.371
    x, y = (left + right) / 2
    engine = Engine(
        model, FakeSearch([[(x - side / 2, y - 0.39 * side, side, side)]] * 3), measures=MeasureSettings(enabled=True)
    )
    found: dict[int, tuple[float, float]] = {}
    for frame in frames:
        for face in engine.process(frame).faces:
            if face.measures is not None and face.measures.blink is not None:
                start_ns, end_ns = face.measures.blink
                found[start_ns] = (start_ns / 1e9, end_ns / 1e9)
    return list(found.values())


def see(model: KeypointModel, image: Grey, points: Points, seed: int) -> Seen:
    """Watches one face hold still, then blink."""
    rng = np.random.default_rng(seed)
    still = watch(model, points, film(image, points, [], STILL_S, seed))
    begins = [SETTLE_S + i * APART_S + float(rng.uniform(0, 0.5)) for i in range(BLINKS)]
    seen = watch(model, points, film(image, points, begins, SETTLE_S + BLINKS * APART_S, seed + 1))
    length = 2 * RAMP_S + SHUT_S
    found = sum(
        any(start < begin + length + NEAR_S and end > begin - NEAR_S for start, end in seen) for begin in begins
    )
    return Seen(len(still), found, len(seen) - found)


def open_eyed(data: Path) -> Iterator[tuple[Grey, Points]]:
    """The faces of a set that look ahead with open eyes."""
    faces = load_one(data, IBUG68)
    for image, points in zip(faces.images, faces.points, strict=True):
        pose = None if np.isnan(points).any() else head_pose(points, IBUG68)
        if pose is None or abs(pose[0]) > MAX_YAW:
            continue
        left, right = IBUG68.eye_centers(points)
        unit = float(np.hypot(*(left - right))) / np.cos(np.radians(pose[0]))
        lids = [
            np.mean([np.hypot(*(points[a] - points[b])) for a, b in pairs]) / unit
            for pairs in (((37, 41), (38, 40)), ((43, 47), (44, 46)))
        ]
        if min(lids) >= LEAST_OPEN:
            yield image, points


def main() -> None:
    """Measures, and writes the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--set", default="test/afw")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    model = open_model(shipped_model("keypoints68-int8"))
    faces = list(open_eyed(given.data / given.set))
    rng = np.random.default_rng(0)
    drawn = sorted(rng.permutation(len(faces))[:FACES])
    rows = np.array([see(model, *faces[i], int(10 * i)) for i in drawn])
    draws = rows[rng.integers(0, len(rows), (1000, len(rows)))]
    found, false = draws[:, :, 1].mean(1) / BLINKS, draws[:, :, 0].mean(1) * 60 / STILL_S
    figures = {
        "command": f"python benchmarks/blinks.py DATA benchmarks/results/blinks.json --set {given.set}",
        "model_sha256": model.file.sha256,
        "faces": len(rows),
        "of_open_eyed_faces": len(faces),
        "found": round(float(rows[:, 1].mean() / BLINKS), 3),
        "found_interval": [round(float(end), 3) for end in np.percentile(found, (2.5, 97.5))],
        "faces_with_all_found": int((rows[:, 1] == BLINKS).sum()),
        "faces_with_none_found": int((rows[:, 1] == 0).sum()),
        "false_per_minute": round(float(rows[:, 0].mean() * 60 / STILL_S), 3),
        "false_interval": [round(float(end), 3) for end in np.percentile(false, (2.5, 97.5))],
        "faces_with_a_false_one": int((rows[:, 0] > 0).sum()),
        "extra_per_blink": round(float(rows[:, 2].mean() / BLINKS), 3),
    }
    given.out.write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
