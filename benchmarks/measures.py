"""How good eye and mouth openness are: against labels on test/afw; and what measuring costs.

Usage: python benchmarks/measures.py DATA OUT.json     (DATA has test/afw)

Labels: openness of the shipped 68-point file's points against that of the labelled points of the same photographs, one
value a face (raw ratios: nobody's usual is known from one photograph), on the labels' crops and after three more looks
as tracking goes on; intervals resample faces, each of which is one person. Faces beyond 40 degrees of yaw are left out.

Cost: the demo's first 90 frames through two engines that take turns at each frame, one of which measures; thread time.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fkp_edge.core.geometry import crop_from_track, extract
from fkp_edge.core.keypoints import IBUG68, Points
from fkp_edge.core.measures import MAX_YAW, FaceMeasures
from fkp_edge.data import load_one
from fkp_edge.device.detection.search import FakeSearch
from fkp_edge.device.sources import DemoSource
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.device.tracking.pose import MeasureSettings, head_pose
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model

ROUNDS = 10
NAMES = ("eye_open", "mouth_open", "mouth_wide", "brow_raise")


def raw(points: Points, pose: tuple[float, float, float]) -> dict[str, float]:
    """Measures of one photograph; those that are divided by a person's usual are so by a fixed number's."""
    found = FaceMeasures(IBUG68).update(points, pose, 0)
    eyes = ((43, 47), (44, 46), (37, 41), (38, 40))
    left, right = IBUG68.eye_centers(points)
    unit = float(np.linalg.norm(left - right)) / np.cos(np.radians(pose[0]))
    brows = (np.linalg.norm(points[22:27].mean(0) - left) + np.linalg.norm(points[17:22].mean(0) - right)) / 2
    lids = np.mean([np.linalg.norm(points[a] - points[b]) for a, b in eyes])
    assert found.mouth_open is not None
    assert found.mouth_wide is not None
    return {
        "eye_open": float(lids / unit),
        "mouth_open": found.mouth_open,
        "mouth_wide": found.mouth_wide,
        "brow_raise": float(brows / unit),
    }


def against_labels(model: KeypointModel, data: Path) -> dict[str, Any]:
    """Correlation and mean absolute error of each measure, and their intervals."""
    faces = load_one(data / "test/afw", IBUG68)
    rows: dict[str, list[tuple[dict[str, float], dict[str, float]]]] = {"labels' crops": [], "tracked": []}
    for image, labelled, crop in zip(faces.images, faces.points, map(faces.crop, range(len(faces))), strict=True):
        pose = head_pose(labelled, IBUG68)
        if pose is None or abs(pose[0]) > MAX_YAW or np.isnan(labelled).any():
            continue
        for look in range(4):
            points = crop.to_frame(model.predict(extract(image, crop))[0])
            crop = crop_from_track(points, IBUG68.mean_shape)
            if look in (0, 3):
                rows["labels' crops" if look == 0 else "tracked"].append((raw(points, pose), raw(labelled, pose)))
    found: dict[str, Any] = {}
    rng = np.random.default_rng(0)
    for kind, pairs in rows.items():
        found[kind] = {"faces": len(pairs)}
        for name in NAMES:
            both = np.array([[ours[name], labels[name]] for ours, labels in pairs])
            draws = rng.integers(0, len(both), (1000, len(both)))
            interval = np.percentile([np.corrcoef(both[draw].T)[0, 1] for draw in draws], (2.5, 97.5))
            found[kind][name] = {
                "correlation": round(float(np.corrcoef(both.T)[0, 1]), 3),
                "interval": [round(float(end), 3) for end in interval],
                "mean_error": round(float(np.abs(both[:, 0] - both[:, 1]).mean()), 4),
                "spread_of_labels": round(float(both[:, 1].std()), 4),
            }
    return found


def cost() -> dict[str, float]:
    """What measures and position take of a tracked frame, by network: the median of paired differences, over the
    median without."""
    cv2.setNumThreads(1)
    demo = DemoSource(pace=False)
    frames = [demo.frame(number, number * 33_333_333) for number in range(90)]
    left, right = frames[0].truth[:2]  # type: ignore[index]
    side, (x, y) = 2.6 * float(left[0] - right[0]), (left + right) / 2
    box = (x - side / 2, y - 0.39 * side, side, side)
    found: dict[str, float] = {}
    for name in ("keypoints-int8", "keypoints68-int8"):
        model = open_model(shipped_model(name))
        took: dict[bool, list[int]] = {True: [], False: []}
        for turn in range(ROUNDS):
            engines = {on: Engine(model, FakeSearch([[box]]), measures=MeasureSettings(enabled=on)) for on in took}
            for number, frame in enumerate(frames):
                for on in (True, False) if (turn + number) % 2 else (False, True):
                    start = time.thread_time_ns()
                    engines[on].process(frame)
                    took[on].append(time.thread_time_ns() - start)
        more = np.median(np.array(took[True]) - np.array(took[False]))
        found[name] = round(float(more / np.median(took[False])), 4)
    return found


def main() -> None:
    """Measures, and writes the figures."""
    model = open_model(shipped_model("keypoints68-int8"))
    figures = {
        "command": "python benchmarks/measures.py DATA benchmarks/results/measures.json",
        "model_sha256": model.file.sha256,
        "cost": cost(),
        "afw": against_labels(model, Path(sys.argv[1])),
    }
    Path(sys.argv[2]).write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
