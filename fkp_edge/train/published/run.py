"""Trains a recipe of kind `published` or `knn`: from a labelled file to a network, its figures and pictures."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import msgspec
import numpy as np
from sklearn.neighbors import KNeighborsRegressor

from fkp_edge.core.files import write_whole
from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.keypoints import Points
from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.evaluation.metrics import summarise
from fkp_edge.train.backend import keras
from fkp_edge.train.plots import draw_faces, draw_per_point
from fkp_edge.train.published.fit import NetworkFit, predict_units
from fkp_edge.train.published.missing import COMMON, complete_rows, fill_error_px, prepared, with_points
from fkp_edge.train.published.networks import build_published
from fkp_edge.train.published.recipe import KnnRecipe, PublishedRecipe
from fkp_edge.train.published.rows import load_rows, pixels_of, split_rows
from fkp_edge.train.published.schedule import Epoch
from fkp_edge.train.run import TrainResult
from fkp_edge.train.saved import save_trained

__all__ = [
    "draw_curves",
    "draw_errors",
    "draw_filled",
    "figures_of",
    "merge",
    "nearest_points",
    "train_knn",
    "train_published",
]


def nearest_points(train: FaceSet, faces: FaceSet, neighbours: int) -> Points:
    """The mean points of the `neighbours` pictures of `train` nearest to each picture of `faces`: (N, K, 2) pixels.

    Raises:
        InputError: there are fewer training pictures than neighbours.
    """
    if len(train) < neighbours:
        raise InputError(
            f"neighbours = {neighbours}, but only {len(train)} rows to look among; expected as many at least"
        )
    flat = [pixels_of(part).reshape(len(part), -1).astype(np.float32) for part in (train, faces)]
    found = (
        KNeighborsRegressor(n_neighbors=neighbours).fit(flat[0], train.points.reshape(len(train), -1)).predict(flat[1])
    )
    return np.asarray(found.reshape(faces.points.shape), np.float32)


layers = keras.layers


def merge(common: keras.Model, every: keras.Model, points: tuple[int, ...]) -> keras.Model:
    """A network that gives `points` as `common` does and all others as `every` does.

    Both run side by side up to their last layer; those two layers become one, whose weights for a point are zero where
    the other network speaks of it. So it converts and quantises like any other network.
    """
    pixels = layers.Input((CROP_SIZE, CROP_SIZE, 1), name="pixels")
    trunks = [
        keras.Model(model.input, layers.Flatten()(model.get_layer("offsets").input), name=name)
        for name, model in (("common", common), ("every", every))
    ]
    joined = layers.Concatenate(name="join")([trunk(pixels) for trunk in trunks])
    (kernel_a, bias_a), (kernel_b, bias_b) = (_last_weights(model) for model in (common, every))
    outputs = len(bias_b)
    mine = [2 * point + axis for point in points for axis in (0, 1)]
    kernel = np.zeros((len(kernel_a) + len(kernel_b), outputs), np.float32)
    kernel[: len(kernel_a), mine] = kernel_a
    kernel[len(kernel_a) :] = kernel_b
    kernel[len(kernel_a) :, mine] = 0
    bias = bias_b.copy()
    bias[mine] = bias_a
    last = layers.Dense(outputs, name="offsets")
    merged = keras.Model(pixels, {"keypoints": last(joined)}, name="specialists")
    last.set_weights([kernel, bias])
    return merged


def _last_weights(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Kernel (C, 2P) and bias (2P,) of the last layer, a Dense or a 1x1 convolution."""
    kernel, bias = model.get_layer("offsets").get_weights()
    return kernel.reshape(-1, len(bias)), bias


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
