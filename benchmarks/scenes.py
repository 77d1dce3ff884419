"""False faces on test/scenes, each looked at: what is left when people whom nobody annotated count neither way.

Usage: python benchmarks/scenes.py DATA OUT.json     (DATA has test/scenes; about two minutes)

people_nobody_annotated.json lists people, by photograph: boxes [x, y, w, h]. Found by looking at all 111 boxes of Haar
that frame no annotated face, whatever their score, and at every false face that `predict` reports with finder and Haar.
Faces that are drawn, printed or sculpted are not in it: they stay false.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fkp_edge.data import Scene, read_scenes
from fkp_edge.device.detection.haar import HaarDetector, HaarSettings
from fkp_edge.device.image_detector import ImageDetector
from fkp_edge.evaluation.evaluate import evaluate_scenes
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model

PEOPLE = Path(__file__).with_name("people_nobody_annotated.json")
SHOWN = ("faces", "score_auc", "false_boxes", "found_percent", "false_faces_per_photograph")


def without_people(scenes: Sequence[Scene]) -> list[Scene]:
    """`scenes` with the listed people ignored too."""
    people = json.loads(PEOPLE.read_text())
    if strangers := people.keys() - {scene.path.name for scene in scenes}:
        raise SystemExit(f"{PEOPLE.name} names {', '.join(sorted(strangers))}; expected photographs of test/scenes")
    return [replace(scene, ignore=(*scene.ignore, *map(tuple, people.get(scene.path.name, ())))) for scene in scenes]


def main(data: Path, out: Path) -> None:
    """Prints and writes the figures as `fkp-edge eval --scenes` gives them, and without the listed people."""
    model, scenes = open_model(shipped_model()), read_scenes(data / "test/scenes")
    detector = HaarDetector(HaarSettings(scale_factor=1.1, min_neighbors=3, min_size=24, longest_side=4096))
    finder = ImageDetector(model)
    record: dict[str, Any] = {"model_sha256": model.file.sha256, "set": "test/scenes"}
    for name, chosen in {"as_annotated": scenes, "people_left_out": without_people(scenes)}.items():
        record[name] = evaluate_scenes(
            model, chosen, propose=detector.detect, find=lambda grey: [face.points for face in finder.find(grey)]
        )
        print(name, {key: round(record[name][key], 4) for key in SHOWN}, flush=True)
    out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
