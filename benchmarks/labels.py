"""How good the labels of a teacher are, on hand-labelled faces that it did not see.

Usage: python benchmarks/labels.py DATA OUT.json [HABIT.npz]

DATA has val/lfpw and val/helen. With HABIT.npz (what `fkp-edge label --teacher mediapipe` leaves in `about/`) MediaPipe
is measured, too. A face is the one that is marked nearest to the label; those further off than 30 % are lost.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fkp_edge.core.keypoints import FKP15, IBUG68, from_ibug68
from fkp_edge.data import FaceSet, read_ibug_folder
from fkp_edge.evaluation.metrics import bootstrap_interval, face_nme
from fkp_edge.label.run import SURE
from fkp_edge.label.teachers import NetworkTeacher, Teacher
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model

SETS = ("lfpw", "helen")
LOST = 0.3
SHARES = (0.02, 0.03, 0.04, SURE, 0.08)


def measure(teacher: Teacher, sets: list[FaceSet]) -> dict[str, Any]:
    """Error of the labels, and what leaving out the unsure ones does to it."""
    rows, faces = [], 0
    for picture, truth in ((p, t) for one in sets for p, t in zip(one.images, one.points, strict=True)):
        faces += 1
        marked = teacher.mark(picture)
        errors = [float(face_nme(face.points[None], truth[None], IBUG68)[0]) for face in marked]
        if not errors or min(errors) > LOST:
            continue
        best = marked[int(np.argmin(errors))]
        few, few_true = (from_ibug68(points, FKP15)[None] for points in (best.points, truth))
        rows.append((min(errors), float(face_nme(few, few_true, FKP15)[0]), best.disagreement))
    error68, error15, unsure = np.array(rows).T
    return {
        "teacher": teacher.name,
        "faces": faces,
        "marked": len(rows),
        "nme68_percent": 100 * float(error68.mean()),
        "nme68_interval_percent": [100 * bound for bound in bootstrap_interval(error68)],
        "nme15_percent": 100 * float(error15.mean()),
        "nme15_interval_percent": [100 * bound for bound in bootstrap_interval(error15)],
        "correlation": float(np.corrcoef(error68, unsure)[0, 1]),
        "by_sure": [by_share(error68, unsure <= share) | {"sure": share} for share in SHARES],
    }


def by_share(errors: np.ndarray, kept: np.ndarray) -> dict[str, Any]:
    return {
        "kept": int(kept.sum()),
        "kept_nme68_percent": 100 * float(errors[kept].mean()) if kept.any() else None,
        "left_out_nme68_percent": 100 * float(errors[~kept].mean()) if not kept.all() else None,
    }


def main(data: Path, out: Path, habit: Path | None) -> None:
    """Prints and writes the record."""
    sets = [read_ibug_folder(data / "val" / name, IBUG68) for name in SETS]
    record = {"network": measure(NetworkTeacher(open_model(shipped_model("keypoints68-int8"))), sets)}
    print(json.dumps(record), flush=True)
    if habit:
        from fkp_edge.label.habit import read_habit
        from fkp_edge.label.mesh import MeshTeacher

        record["mediapipe"] = measure(MeshTeacher(read_habit(habit)), sets)
    elif out.is_file():  # measured where MediaPipe is installed
        record = json.loads(out.read_text()) | record
    out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]) if len(sys.argv) > 3 else None)
