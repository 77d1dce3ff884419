"""Pictures of a published system's run: curves, faces with true and predicted points, filled values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import msgspec
import numpy as np

from fkp_edge.core.keypoints import Points
from fkp_edge.data import FaceSet
from fkp_edge.train.plots import draw_faces, draw_per_point
from fkp_edge.train.published.schedule import Epoch

__all__ = ["draw_curves", "draw_errors", "draw_filled"]

MOST = 24
"""Faces on a sheet."""


def draw_curves(out: Path) -> None:
    """Writes curves.png: loss, validation error and learning rate of every history.jsonl in `out` or below."""
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(14, 4))
    for path in sorted(out.rglob("history.jsonl")):
        epochs = [msgspec.json.decode(line, type=Epoch) for line in path.read_bytes().splitlines()]
        name = str(path.parent.relative_to(out)) if path.parent != out else "network"
        numbers = [e.epoch for e in epochs]
        left.plot(numbers, [e.loss for e in epochs], label=name)
        middle.plot(numbers, [e.val_mse_px2**0.5 for e in epochs], label=name)
        right.plot(numbers, [e.learning_rate for e in epochs], label=name)
    left.set(xlabel="epoch", ylabel="training loss", yscale="log")
    middle.set(xlabel="epoch", ylabel="validation RMSE, px of the 96x96 crop")
    right.set(xlabel="epoch", ylabel="learning rate", yscale="log")
    left.legend()
    figure.tight_layout()
    figure.savefig(out / "curves.png", dpi=100)
    plt.close(figure)


def draw_errors(out: Path, sets: dict[str, FaceSet], predicted: dict[str, Points], figures: dict[str, Any]) -> None:
    """Writes points.png, and samples_SET.png and worst_SET.png: labelled points green, predicted red, RMSE in px."""
    draw_per_point(out, figures)
    for name, faces in sets.items():
        error = _face_rmse(predicted[name], faces)
        order = np.argsort(np.where(np.isnan(error), -1, error))
        captions = [f"{value:.1f} px" for value in error]
        spread = np.linspace(0, len(faces) - 1, min(MOST, len(faces))).astype(int)
        draw_faces(out / f"samples_{name}.png", faces, order[spread], predicted[name], captions)
        draw_faces(out / f"worst_{name}.png", faces, order[::-1][:MOST], predicted[name], captions)


def draw_filled(path: Path, truth: FaceSet, filled: FaceSet) -> None:
    """Writes the worst of rows whose points were hidden and `filled`: labelled green, filled red, RMSE in px."""
    error = _face_rmse(filled.points, truth)
    captions = [f"{value:.1f} px" for value in error]
    draw_faces(path, truth, np.argsort(error)[::-1][:MOST], filled.points, captions)


def _face_rmse(points: Points, faces: FaceSet) -> np.ndarray:
    """Root mean square error of each face's labelled coordinates, pixels (N,); NaN where nothing is labelled."""
    error = (points - faces.points).reshape(len(faces), -1)
    known = np.isfinite(error).sum(1)
    return np.sqrt(np.where(known, np.nansum(error**2, 1) / np.maximum(known, 1), np.nan))
