"""How good eye and mouth openness are: against labels on test/afw.

Usage: python benchmarks/measures.py DATA OUT.json     (DATA has test/afw)

Labels: openness of the shipped 68-point file's points against that of the labelled points of the same photographs, one
value a face (raw ratios: nobody's usual is known from one photograph), on the labels' crops and after three more looks
as tracking goes on; intervals resample faces, each of which is one person. Faces beyond 40 degrees of yaw are left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fkp_edge.core.geometry import crop_from_track, extract
from fkp_edge.core.keypoints import IBUG68, Points
from fkp_edge.core.measures import MAX_YAW, FaceMeasures
from fkp_edge.data import load_one
from fkp_edge.device.tracking.pose import head_pose
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model

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


def main() -> None:
    """Measures, and writes the figures."""
    model = open_model(shipped_model("keypoints68-int8"))
    figures = {
        "command": "python benchmarks/measures.py DATA benchmarks/results/measures.json",
        "model_sha256": model.file.sha256,
        "afw": against_labels(model, Path(sys.argv[1])),
    }
    Path(sys.argv[2]).write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
