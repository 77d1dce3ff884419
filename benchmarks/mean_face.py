"""The 3D mean face of fkp_edge/device/tracking/pose.py, and how far the network's poses lie from those of the labels.

Usage: python benchmarks/mean_face.py DATA OUT.json     (DATA has train/lfpw, train/helen and test/afw)

Photographs of many heads are taken for photographs of one rigid head: alternately the pose of each under scaled
orthography and the shape that explains all of them best (Tomasi and Kanade, IJCV 1992, without their factorisation),
mirrored copies beside the originals, far-off ones weighing less. The start is the 2D mean with depths by eye.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkp_edge import data
from fkp_edge.core.geometry import crop_from_labels
from fkp_edge.core.keypoints import FKP15
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.pose import head_pose
from fkp_edge.device.tracking.tracker import refine_crop
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model

Array = NDArray[np.float64]
ROUNDS = 400
START_DEPTHS = {"nose_tip": -0.15, "outer_corner": 0.1, "inner_corner": 0.05, "eye_center": 0.05, "outer_end": 0.08}


def poses(faces: Array, shape: Array) -> tuple[Array, Array, Array]:
    """Of each of `faces` (N, 15, 2): the (2, 3) rotation, the scale and the projection of `shape` (3, 15)."""
    affine = np.einsum("npc,pd->ncd", faces, np.linalg.pinv(shape))
    u, _, vt = np.linalg.svd(affine, full_matrices=False)
    turns = u @ vt
    flat = np.einsum("ncd,dp->npc", turns, shape)
    scales = (faces * flat).sum((1, 2)) / (flat**2).sum((1, 2))
    return turns, scales, flat * scales[:, None, None]


def rigid_mean(faces: Array) -> tuple[Array, float]:
    """The shape (3, 15), and the RMS distance of its projections from the faces in inter-ocular distances."""
    flip = list(FKP15.flip)
    faces = np.concatenate([faces, faces[:, flip] * (-1, 1)])
    faces = faces - faces.mean(1, keepdims=True)
    faces = faces / np.sqrt((faces**2).sum((1, 2), keepdims=True))
    flat = (FKP15.mean_shape - FKP15.mean_shape.mean(0)).astype(np.float64)
    depths = np.array([next((d for key, d in START_DEPTHS.items() if key in name), 0.0) for name in FKP15.names])
    shape = np.c_[flat, depths - depths.mean()].T
    for _ in range(ROUNDS):
        turns, scales, seen = poses(faces, shape)
        away = np.sqrt(((faces - seen) ** 2).sum((1, 2)))
        weights = 1 / (1 + (away / 0.1) ** 2)
        normal = np.einsum("n,nca,ncb->ab", weights * scales**2, turns, turns)
        shape = np.linalg.solve(normal, np.einsum("n,nca,npc->ap", weights * scales, turns, faces))
        shape = (shape + shape[:, flip] * [[-1], [1], [1]]) / 2
        shape *= np.sqrt((flat**2).sum() / (shape[:2] ** 2).sum())
    eyes = np.linalg.norm(faces[:, 3] - faces[:, 5], axis=1)
    return level(faces, shape), float(np.sqrt(np.mean(away**2 / 15)) / eyes.mean())


def level(faces: Array, shape: Array) -> Array:
    """`shape` turned so that faces which look straight ahead have a median pitch of 0."""
    for _ in range(10):
        turns, _, _ = poses(faces, shape)
        forward = -np.cross(turns[:, 0], turns[:, 1])  # the camera's view of the face's -z is minus the third row
        ahead = np.abs(np.degrees(np.arctan2(-turns[:, 0, 2], -forward[:, 2]))) < 15
        pitch = np.median(np.arcsin(np.clip(turns[ahead, 1, 2], -1, 1)))
        cos, sin = np.cos(pitch), np.sin(pitch)
        shape = np.array([[1, 0, 0], [0, cos, sin], [0, -sin, cos]]) @ shape
    return shape


def agreement(root: Path) -> dict[str, Any]:
    """Degrees between the int8 network's poses and those of the hand labels, AFW, by the labels' yaw."""
    model, times = open_model(shipped_model()), StageTimes()
    rows = []
    for faces in data.load(root / "test/afw", FKP15):
        for picture, points in zip(faces.images, faces.points, strict=True):
            prediction = refine_crop(model, picture, crop_from_labels(points, FKP15), times)
            truth = head_pose(points, FKP15)
            if prediction and truth and (pose := head_pose(prediction.points, FKP15)):
                rows.append((*truth, *pose))
    table = np.array(rows)
    found: dict[str, Any] = {"faces": len(table)}
    for low, high in ((0, 15), (15, 30), (30, 90)):
        chosen = table[(np.abs(table[:, 0]) >= low) & (np.abs(table[:, 0]) < high)]
        away = np.abs((chosen[:, 3:] - chosen[:, :3] + 180) % 360 - 180)
        median, p95 = np.median(away, 0), np.percentile(away, 95, 0)
        found[f"yaw {low} to {high}"] = {"faces": len(chosen)} | {
            name: {"median": round(float(m), 2), "p95": round(float(p), 2)}
            for name, m, p in zip(("yaw", "pitch", "roll"), median, p95, strict=True)
        }
    return found


def main(root: Path, out: Path) -> None:
    """Prints and writes the shape and the agreement."""
    sets = [faces for name in ("lfpw", "helen") for faces in data.load(root / "train" / name, FKP15)]
    shape, away = rigid_mean(np.concatenate([faces.points for faces in sets]).astype(np.float64))
    record = {
        "mean_face": {name: np.round(row, 4).tolist() for name, row in zip(FKP15.names, shape.T, strict=True)},
        "rms_of_interocular": round(away, 4),
        "int8_against_labels_degrees": agreement(root),
        "model_sha256": open_model(shipped_model()).file.sha256,
    }
    out.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
