"""How many faces one search finds and what it costs, by Haar's settings, and with its cascade for profiles.

Usage: python benchmarks/search_settings.py DATA OUT.json     (DATA has val/scenes and test/scenes; ten minutes)

Chosen on val; test is there to see whether the choice holds. A face is found where the network settles on one of the
five largest boxes with the score that the engine asks for. Costs are medians of CPU time, over the default's.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from tilted_search import FOUND_NME, confirmed

from fkp_edge import data
from fkp_edge.core.geometry import Box, crop_from_box
from fkp_edge.core.keypoints import FKP15, from_ibug68
from fkp_edge.data import Scene
from fkp_edge.device.detection.haar import HaarDetector, HaarSettings, find_cascade
from fkp_edge.device.detection.search import SearchSettings
from fkp_edge.evaluation.metrics import face_nme
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model

SETS = ("val/scenes", "test/scenes")
DEFAULT = SearchSettings()
GRID = [
    HaarSettings(longest_side=side, scale_factor=factor, min_neighbors=neighbors, min_size=24)
    for side, factor in ((320, 1.1), (320, 1.2), (480, 1.1), (480, 1.2), (640, 1.1))
    for neighbors in (1, 3, 5)
]
Grey = NDArray[np.uint8]
Search = Callable[[Grey], Sequence[Box]]


def with_profiles(settings: HaarSettings) -> Search:
    """Upright faces, else those that look to either side: the cascade knows one side only, so it looks twice."""
    frontal = HaarDetector(settings)
    profile = HaarDetector(settings, cascade=find_cascade().with_name("haarcascade_profileface.xml"))

    def search(grey: Grey) -> Sequence[Box]:
        boxes = frontal.detect(grey)
        if boxes:
            return boxes
        mirrored = profile.detect(np.ascontiguousarray(grey[:, ::-1]))
        return profile.detect(grey) + [(grey.shape[1] - x - w, y, w, h) for x, y, w, h in mirrored]

    return search


def measure(search: Search, scenes: Sequence[tuple[Scene, Grey]], model: KeypointModel) -> dict[str, float]:
    """Faces found by one search of each photograph, and the CPU time of all."""
    faces = found = looked = 0
    spent = []
    for scene, grey in scenes:
        start = time.thread_time()
        boxes = search(grey)
        spent.append(time.thread_time() - start)
        sights = confirmed(model, grey, [crop_from_box(box) for box in boxes])
        looked += len(boxes[:5])
        for face in scene.faces:
            points = from_ibug68(face, FKP15)[None]
            faces += 1
            found += any(face_nme(prediction.points[None], points, FKP15)[0] < FOUND_NME for prediction in sights)
    return {
        "found_percent": round(100 * found / faces, 1),
        "boxes_a_photograph": round(looked / len(scenes), 2),
        "cpu_s": float(np.median(spent)),
    }


def main(root: Path, out: Path) -> None:
    """Prints and writes a row a setting."""
    cv2.setNumThreads(1)
    model = open_model(shipped_model())
    photographs = {
        name: [(scene, data.read_picture(scene.path)) for scene in data.read_scenes(root / name)] for name in SETS
    }
    searches: list[tuple[dict[str, Any], Search]] = [({"default": True}, HaarDetector(DEFAULT).detect)]
    searches += [({"default": False, "profiles": True}, with_profiles(DEFAULT))]
    searches += [({}, HaarDetector(settings).detect) for settings in GRID]
    rows: list[dict[str, Any]] = []
    for (notes, search), settings in zip(searches, [DEFAULT, DEFAULT, *GRID], strict=True):
        row: dict[str, Any] = {key: getattr(settings, key) for key in HaarSettings.__struct_fields__} | notes
        for name in SETS:
            row[name] = measure(search, photographs[name], model)
        rows.append(row)
        print(row, flush=True)
    for name in SETS:
        unit = rows[0][name]["cpu_s"]
        for row in rows:
            row[name]["cost"] = round(row[name].pop("cpu_s") / unit, 2)
    out.write_text(json.dumps({"model_sha256": model.file.sha256, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
