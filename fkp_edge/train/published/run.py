"""Trains a recipe of kind `published` or `knn`: from a labelled file to a network, its figures and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from fkp_edge.core.files import write_whole
from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.keypoints import Points
from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.evaluation.metrics import summarise
from fkp_edge.train.backend import keras
from fkp_edge.train.published.fit import NetworkFit, predict_units
from fkp_edge.train.published.knn import nearest_points
from fkp_edge.train.published.missing import COMMON, complete_rows, fill_error_px, prepared, with_points
from fkp_edge.train.published.networks import build_published
from fkp_edge.train.published.pictures import draw_curves, draw_errors, draw_filled
from fkp_edge.train.published.recipe import KnnRecipe, PublishedRecipe
from fkp_edge.train.published.rows import load_rows, pixels_of, split_rows
from fkp_edge.train.published.specialists import merge
from fkp_edge.train.run import TrainResult
from fkp_edge.train.saved import save_trained

__all__ = ["figures_of", "train_knn", "train_published"]


def train_published(recipe: PublishedRecipe, *, data_dir: Path, out: Path, resume: bool = False) -> TrainResult:
    """Trains `recipe` on its file below `data_dir` and writes the run to `out`.

    Raises:
        InputError: the file, the weights or a value is wrong, the strategy for missing values cannot work on these
            rows, or `out` holds a run and `resume` is not given.
    """
    split = split_rows(load_rows(recipe.data, data_dir), recipe.data)
    schema = split["train"].schema
    parts = _parts(recipe, split["train"])
    _prepare_folder(out, recipe, resume)
    models = {
        name: _best_of_restarts(recipe, points, rows, split["val"], data_dir, out / name if len(parts) > 1 else out)
        for name, (points, rows) in parts.items()
    }
    model = models["every"] if len(models) == 1 else merge(models["common"], models["every"], COMMON)
    sets = {name: faces for name, faces in split.items() if name != "train"}
    predicted = {
        name: _to_pixels(predict_units(model, pixels_of(faces), schema.mean_shape)) for name, faces in sets.items()
    }
    figures = {name: figures_of(predicted[name], faces) for name, faces in sets.items()}
    results = {"validation": figures} | _filling(recipe, split["train"], out)
    path = save_trained(model, recipe, schema, results, out)
    draw_curves(out)
    draw_errors(out, sets, predicted, figures)
    return TrainResult(path, figures)


def train_knn(recipe: KnnRecipe, *, data_dir: Path, out: Path, resume: bool = False) -> TrainResult:
    """Measures k nearest neighbours as `recipe` says and writes figures and pictures to `out`; there is no network."""
    split = split_rows(load_rows(recipe.data, data_dir), recipe.data)
    rows = prepared(split.pop("train"), recipe.missing, recipe.neighbours)
    predicted = {name: nearest_points(rows, faces, recipe.neighbours) for name, faces in split.items()}
    _prepare_folder(out, recipe, resume)
    figures = {name: figures_of(predicted[name], faces) for name, faces in split.items()}
    draw_errors(out, split, predicted, figures)
    path = out / "figures.json"
    described = {"recipe": msgspec.to_builtins(recipe), "rows": len(rows), "validation": figures}
    path.write_text(json.dumps(described, indent=1) + "\n")
    return TrainResult(path, figures)


def _parts(recipe: PublishedRecipe, train: FaceSet) -> dict[str, tuple[tuple[int, ...], FaceSet]]:
    """Network -> the points it learns and the rows it learns them from; fails here, before any training."""
    every = tuple(range(train.schema.size))
    if recipe.missing == "specialists":
        return {"common": (COMMON, with_points(train, COMMON)), "every": (every, complete_rows(train))}
    return {"every": (every, prepared(train, recipe.missing, recipe.neighbours))}


def _best_of_restarts(
    recipe: PublishedRecipe, points: tuple[int, ...], rows: FaceSet, val: FaceSet, data_dir: Path, out: Path
) -> keras.Model:
    """The network that is best on `val` of those trained from different random weights."""
    count = recipe.fit.restarts
    networks = 2 if recipe.missing == "specialists" else 1
    best_error, best = np.inf, None
    for number in range(count):
        folder = out / f"restart{number}" if count > 1 else out
        folder.mkdir(parents=True, exist_ok=True)
        seed = recipe.fit.seed + number
        keras.utils.set_random_seed(seed)
        model = build_published(recipe.network, len(points), data_dir=data_dir)
        minutes = recipe.fit.minutes / count / networks
        fit = NetworkFit(model, recipe, points, rows, val, folder, minutes, seed)
        fit.resume()
        error = fit.run().val_mse_px2
        if error < best_error:
            best_error, best = error, model
    return best


def _filling(recipe: PublishedRecipe, train: FaceSet, out: Path) -> dict[str, Any]:
    """What the recipe's way of filling values is worth: true against filled values, and filled.png."""
    complete = int(np.isfinite(train.points).all((1, 2)).sum())
    if recipe.missing not in ("ffill", "median", "knn") or complete < 2 * recipe.neighbours:
        return {}
    error, truth, filled = fill_error_px(train, recipe.missing, recipe.neighbours)
    draw_filled(out / "filled.png", truth, filled)
    return {"filled_rmse_px": error, "filled_rows": len(truth)}


def figures_of(predicted: Points, faces: FaceSet) -> dict[str, Any]:
    """Errors of `predicted` (N, K, 2) on the labelled points of cropped `faces`; see `metrics.summarise`."""
    return summarise(predicted, faces.points, faces.schema, np.ones(len(faces)), faces.subject)


def _to_pixels(units: Points) -> Points:
    return np.asarray(units * CROP_SIZE - 0.5, np.float32)


def _prepare_folder(out: Path, recipe: PublishedRecipe | KnnRecipe, resume: bool) -> None:
    """Makes `out` and notes the recipe there; what is resumed must differ in its schedule only."""
    noted = out / "recipe.json"
    try:
        begun = any(path.name in ("history.jsonl", "figures.json") for path in out.rglob("*.json*"))
        if begun and noted.exists():
            if not resume:
                raise InputError(f"{out} already holds a training run; add --resume to go on, or name another --out")
            before = msgspec.json.decode(noted.read_bytes(), type=type(recipe))
            if _identity(before) != _identity(recipe):
                raise InputError(f"{out} holds a run of another network or other data; name another --out")
        out.mkdir(parents=True, exist_ok=True)
        write_whole({noted: msgspec.json.format(msgspec.json.encode(recipe), indent=1)})
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError(f"cannot use {out} for a run: {error}; name another --out") from error


def _identity(recipe: PublishedRecipe | KnnRecipe) -> dict[str, Any]:
    return {key: value for key, value in msgspec.to_builtins(recipe).items() if key not in ("fit", "augment", "name")}
