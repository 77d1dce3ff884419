"""Error of a model file by head yaw, sharpness, brightness and size of the face, on test/afw and test/ytf.

Usage: python benchmarks/conditions.py DATA OUT.json [MODEL.tflite]     (DATA has test/afw and test/ytf)

Crops are framed by the labels. Yaw is the absolute angle, degrees, between the camera's axis and the direction in which
a rigid generic face looks, in the camera's horizontal plane; the face is fitted to six labelled points (cv2.solvePnP).
Its limits: one shape for all heads, mouths that open, a camera at an assumed distance (another one moves it by up to 5
degrees), no measured angle to check it against, and labels that put a hidden eye or mouth corner on the outline: full
profiles come out as 50 to 65. Sharpness is the variance of the Laplacian of the 96x96 crop with its grey levels at mean
0 and standard deviation 1: noise and JPEG blocks count as sharp too. Brightness is the crop's mean grey level. The
inter-ocular distance is in pixels of the set's pictures, which may have been reduced, and shrinks as a head turns: no
row is the effect of its condition alone.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import extract
from fkp_edge.core.keypoints import IBUG68
from fkp_edge.data import load_one
from fkp_edge.evaluation.evaluate import evaluate
from fkp_edge.evaluation.metrics import FAILURE, bootstrap_interval
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model

SETS = ("test/afw", "test/ytf")
YAW_BINS = (15, 30, 45)
INTER_OCULAR_BINS = (30, 45)
QUARTERS = (0.25, 0.5, 0.75)

FACE_POINTS = (30, 8, 45, 36, 54, 48)
"""Nose tip, chin, left and right outer eye corner, left and right mouth corner (0-based iBUG indices)."""
FACE = np.array([[0, 0, 0], [0, 84, 32], [45, -31, 42], [-45, -31, 42], [28, 36, 35], [-28, 36, 35]], np.float64)
"""A generic face, mm, x to the subject's left, y down, z backwards: the symmetric rigid shape that explains these six
points best, under scaled orthography, on 838 faces of LFPW and HELEN, with 90 mm between the outer eye corners."""
DISTANCE = 10
"""Distance of the assumed camera in outlines of the six points: nearly parallel rays."""


def head_yaw(points: NDArray[np.floating]) -> float:
    """Yaw in degrees of labelled `points` (68, 2): 0 looks into the camera, positive to the picture's right."""
    seen = points[list(FACE_POINTS)].astype(np.float64)
    size = float(np.linalg.norm(seen - seen.mean(0), axis=1).max()) * 2
    camera = np.diag([DISTANCE * size, DISTANCE * size, 1.0])
    start = np.array([0, 0, DISTANCE * 2 * np.linalg.norm(FACE - FACE.mean(0), axis=1).max()])
    # from a frontal start the fit cannot fall into the mirrored pose that explains few points almost as well
    _, turn, _ = cv2.solvePnP(
        FACE,
        seen - seen.mean(0),
        camera,
        None,
        np.zeros(3),
        start,
        useExtrinsicGuess=True,
        flags=cv2.SOLVEPNP_ITERATIVE,
    )
    looks = -cv2.Rodrigues(turn)[0][:, 2]
    return math.degrees(math.atan2(looks[0], -looks[2]))


def sharpness(crop: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian of `crop` (96, 96) at standard contrast."""
    grey = crop.astype(np.float32)
    return float(cv2.Laplacian((grey - grey.mean()) / max(1.0, float(grey.std())), cv2.CV_32F).var())


def rows(
    nme: NDArray[np.floating],
    values: NDArray[np.floating],
    limits: Sequence[float],
    subject: NDArray[np.integer] | None = None,
) -> list[dict[str, Any]]:
    """A row a bin of `values` (N,); a value at a limit belongs to the bin above it."""
    described = []
    for low, high in pairwise([None, *limits, None]):
        within = (values >= (-np.inf if low is None else low)) & (values < (np.inf if high is None else high))
        inside = nme[within]
        row: dict[str, Any] = {"from": low, "to": high, "faces": len(inside)}
        if len(inside):
            row["nme_percent"] = round(100 * float(inside.mean()), 3)
            interval = bootstrap_interval(inside, None if subject is None else subject[within])
            row["nme_interval_percent"] = [round(100 * value, 3) for value in interval]
            row["failures_percent"] = round(100 * float(np.mean(inside > FAILURE)), 2)
        described.append(row)
    return described


def measure(model: KeypointModel, folder: Path) -> dict[str, Any]:
    """Rows of every condition on one set of faces."""
    faces = load_one(folder, model.schema)
    nme = evaluate(model, faces).nme
    crops = [extract(image, faces.crop(index)) for index, image in enumerate(faces.images)]
    yaw = np.abs([head_yaw(points) for points in load_one(folder, IBUG68).points])
    sharp, bright = np.array([sharpness(crop) for crop in crops]), np.array([crop.mean() for crop in crops])
    return {
        "all": rows(nme, yaw, (), faces.subject),
        "yaw_degrees": rows(nme, yaw, YAW_BINS, faces.subject),
        "sharpness": rows(nme, sharp, np.quantile(sharp, QUARTERS).round(4).tolist(), faces.subject),
        "brightness": rows(nme, bright, np.quantile(bright, QUARTERS).round(1).tolist(), faces.subject),
        "inter_ocular_px": rows(nme, faces.schema.inter_ocular(faces.points), INTER_OCULAR_BINS, faces.subject),
    }


def show(name: str, conditions: dict[str, list[dict[str, Any]]]) -> None:
    """Prints a line a bin."""
    for condition, bins in conditions.items():
        for row in bins:
            span = " to ".join("" if row[key] is None else f"{row[key]:g}" for key in ("from", "to")).strip()
            line = f"{name:9}{condition:16}{span:18}{row['faces']:5}"
            if row["faces"]:
                low, high = row["nme_interval_percent"]
                line += (
                    f"  {row['nme_percent']:6.2f} %  [{low:.2f}, {high:.2f}]  {row['failures_percent']:5.1f} % failed"
                )
            print(line)


def main(data: Path, out: Path, path: Path) -> None:
    """Prints and writes a row a bin of every condition and set."""
    model = open_model(path)
    results = {name: measure(model, data / name) for name in SETS}
    for name, conditions in results.items():
        show(name, conditions)
    record = {"model": path.name, "model_sha256": model.file.sha256, "crops": "gt", "sets": results}
    out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else shipped_model())
