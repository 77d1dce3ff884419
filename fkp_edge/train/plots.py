"""Pictures of a training run: curves, points drawn on validation faces, error of each point, worst faces."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import cv2
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.drawing import draw_points, sheet
from fkp_edge.core.geometry import extract
from fkp_edge.core.keypoints import Points, Schema
from fkp_edge.data import FaceSet
from fkp_edge.evaluation.metrics import face_nme
from fkp_edge.train.backend import keras
from fkp_edge.train.fit import predict_faces

__all__ = ["draw_faces", "draw_per_point", "draw_run"]

TRUE_COLOR = (80, 220, 80)
PREDICTED_COLOR = (60, 60, 255)
ZOOM = 2


def draw_run(out: Path, model: keras.Model, sets: list[FaceSet], schema: Schema, figures: dict[str, Any]) -> None:
    """Writes curves.png, points.png, and samples_SET.png and worst_SET.png (true points green, predicted red)."""
    _curves(out)
    draw_per_point(out, figures)
    for faces in sets:
        points, _ = predict_faces(model, faces, schema.mean_shape)
        nme = face_nme(points, faces.points, schema)
        order = np.argsort(np.where(np.isnan(nme), -1, nme))
        spread = np.linspace(0, len(faces) - 1, min(24, len(faces))).astype(int)
        captions = [f"{100 * value:.1f}%" for value in nme]
        draw_faces(out / f"samples_{faces.name}.png", faces, order[spread], points, captions)
        draw_faces(out / f"worst_{faces.name}.png", faces, order[::-1][:24], points, captions)


def draw_faces(path: Path, faces: FaceSet, chosen: NDArray[np.intp], points: Points, captions: Sequence[str]) -> None:
    """Writes a sheet of the `chosen` faces: labelled points green, `points` (N, K, 2) red, and each face's caption."""
    tiles = []
    for index in chosen:
        crop = faces.crop(int(index))
        pixels = extract(faces.images[int(index)], crop)
        tile = np.asarray(cv2.cvtColor(cv2.resize(pixels, None, fx=ZOOM, fy=ZOOM), cv2.COLOR_GRAY2BGR), np.uint8)
        for which, color in ((faces.points[index], TRUE_COLOR), (points[index], PREDICTED_COLOR)):
            draw_points(tile, crop.to_units(which) * tile.shape[0] - 0.5, color=color)
        cv2.putText(tile, captions[index], (4, 14), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 255, 255), 1)
        tiles.append(tile)
    cv2.imwrite(str(path), sheet(tiles, columns=8))


def _curves(out: Path) -> None:
    records = [json.loads(line) for line in (out / "history.jsonl").read_text().splitlines()]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))

    def mark(points: Sequence[Any]) -> str:  # a line through one point shows nothing
        return "o" if len(points) == 1 else ""

    for key in ("points_loss", "score_loss"):
        left.plot([r["epoch"] for r in records], [r[key] for r in records], label=key, marker=mark(records))
    left.set(xlabel="epoch", ylabel="training loss", yscale="log")
    left.legend()
    looks = [r for r in records if "val_nme_percent" in r]
    for name in looks[0]["val_nme_percent"] if looks else ():
        right.plot(
            [r["epoch"] for r in looks], [r["val_nme_percent"][name] for r in looks], label=name, marker=mark(looks)
        )
    right.set(xlabel="epoch", ylabel="validation NME, % of inter-ocular distance")
    right.legend()
    figure.tight_layout()
    figure.savefig(out / "curves.png", dpi=100)
    plt.close(figure)


def draw_per_point(out: Path, figures: dict[str, Any]) -> None:
    """Writes points.png: the error of each point on each set of `figures` (set -> as `metrics.summarise` gives it)."""
    figure, axis = plt.subplots(figsize=(8, 0.6 + 0.25 * max(len(f["per_point_percent"]) for f in figures.values())))
    for offset, (name, result) in enumerate(figures.items()):
        values = result["per_point_percent"]
        positions = np.arange(len(values)) + offset * 0.8 / len(figures)
        axis.barh(positions, list(values.values()), height=0.8 / len(figures), label=name)
        axis.set_yticks(np.arange(len(values)) + 0.3, list(values), fontsize=8)
    axis.invert_yaxis()
    axis.set(xlabel="error of each point, % of inter-ocular distance")
    axis.legend()
    figure.tight_layout()
    figure.savefig(out / "points.png", dpi=100)
    plt.close(figure)
