"""How many faces one search finds, upright only and with the turns, in photographs turned by known angles.

Usage: python benchmarks/tilted_search.py DATA OUT.json     (DATA has val/scenes; ten minutes)
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge import data
from fkp_edge.core.geometry import Crop, crop_from_box
from fkp_edge.core.keypoints import FKP15, from_ibug68
from fkp_edge.device.detection.haar import TURNS, HaarDetector, RotatedDetector
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.tracker import Prediction, refine_crop
from fkp_edge.evaluation.metrics import face_nme
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model

ANGLES = (0, 20, 35, 50)
FOUND_SCORE = 0.9
FOUND_NME = 0.15


def confirmed(model: KeypointModel, grey: NDArray[np.uint8], crops: Sequence[Crop]) -> list[Prediction]:
    """What the network settles on, as the engine does."""
    sights = (refine_crop(model, grey, crop, StageTimes()) for crop in crops[:5])
    return [prediction for prediction in sights if prediction and prediction.score >= FOUND_SCORE]


def main(root: Path, out: Path) -> None:
    """Prints and writes a row an angle."""
    cv2.setNumThreads(1)
    model, detector = open_model(shipped_model()), HaarDetector()
    turning = RotatedDetector(detector)
    rows = []
    for angle in ANGLES:
        row = {"degrees": angle, "faces": 0, "upright": 0, "with_turns": 0}
        upright_s, turned_s = [], []
        for scene in data.read_scenes(root / "val/scenes"):
            grey = data.read_picture(scene.path)
            height, width = grey.shape
            matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -angle, 1)
            grey = np.asarray(cv2.warpAffine(grey, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)
            start = time.thread_time()
            upright = [crop_from_box(box) for box in detector.detect(grey)]
            middle = time.thread_time()
            turned = [crop for turn in TURNS for crop in turning.detect_rotated(grey, turn)]
            upright_s.append(middle - start)
            turned_s.append((time.thread_time() - middle) / len(TURNS))
            plain, more = confirmed(model, grey, upright), confirmed(model, grey, turned)
            for face in scene.faces:
                points = (from_ibug68(face, FKP15) @ matrix[:, :2].T + matrix[:, 2])[None]
                near = [bool(face_nme(s.points[None], points, FKP15)[0] < FOUND_NME) for s in (*plain, *more)]
                row["faces"] += 1
                row["upright"] += any(near[: len(plain)])
                row["with_turns"] += any(near)
        cost = float(np.median(turned_s) / np.median(upright_s))
        rows.append({**row, "turn_over_upright_cpu": round(cost, 2)})
        print(rows[-1], flush=True)
    out.write_text(json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
