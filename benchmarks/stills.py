"""Chooses how `predict` searches: faces found and false faces on val/scenes, by Haar's settings and score.

Usage: python benchmarks/stills.py DATA OUT.json     (DATA has val/scenes; about two minutes)
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from fkp_edge.data import read_picture, read_scenes
from fkp_edge.device.detection.haar import HaarDetector, HaarSettings
from fkp_edge.device.image_detector import ImageDetector, ImageSettings
from fkp_edge.evaluation.evaluate import evaluate_scenes
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model

SEARCHES = ((1.1, 3), (1.1, 1), (1.05, 1))
SCORES = (0.5, 0.6, 0.7, 0.8, 0.9)


def main(data: Path, out: Path) -> None:
    """Prints a row a setting and writes all of them."""
    model, scenes = open_model(shipped_model()), read_scenes(data / "val/scenes")
    rows: list[dict[str, Any]] = []
    for factor, neighbors in SEARCHES:
        detector = HaarDetector(
            HaarSettings(scale_factor=factor, min_neighbors=neighbors, min_size=24, longest_side=1280)
        )
        boxes = {scene.path: detector.detect(read_picture(scene.path)) for scene in scenes}  # once for all rows
        for score in SCORES:
            current = iter(boxes.values())
            finder = ImageDetector(model, ImageSettings(score=score), detect=lambda _, it=current: next(it))
            result = evaluate_scenes(
                model,
                scenes,
                propose=lambda _: [],
                find=lambda grey, finder=finder: [face.points for face in finder.find(grey)],
            )
            row = {"haar": [factor, neighbors], "score": score}
            row |= {k: round(result[k], 3) for k in ("found_percent", "false_faces_per_photograph")}
            rows.append(row)
            print(row, flush=True)
    out.write_text(json.dumps({"model_sha256": model.file.sha256, "set": "val/scenes", "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
