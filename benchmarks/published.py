"""Every published system on the same rows for the same epochs, and the network that ships beside them.

python benchmarks/published.py DATA OUT [--epochs N] [--minutes M]

Epochs, not minutes, are the common budget: they do not depend on what else the machine does. The networks of `HEAVY`,
which would take hours, end after M minutes and are marked; nothing is claimed over them.

DATA holds training.csv, test.csv and test_labels.csv (make_kaggle.py writes them). OUT keeps one folder and one JSON a
recipe, so that a killed run goes on where it was. Writes benchmarks/results/published.json and prints the table of
train/published/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from fkp_edge.convert.attempts import unshifted_mean
from fkp_edge.convert.cards import card_of, golden_cases, keypoint_model
from fkp_edge.convert.load import load_network
from fkp_edge.convert.quantize import calibration_crops, to_float, to_int8
from fkp_edge.convert.recipe import Foreign
from fkp_edge.data import read_kaggle
from fkp_edge.evaluation.evaluate import evaluate
from fkp_edge.model.file import write_model_file
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.train.backend import keras
from fkp_edge.train.published.missing import prepared
from fkp_edge.train.published.recipe import KnnRecipe, PublishedRecipe
from fkp_edge.train.published.rows import load_rows, split_rows
from fkp_edge.train.published.run import figures_of, nearest_points, train_knn, train_published
from fkp_edge.train.registry import read_recipe

REPOSITORY = Path(__file__).resolve().parents[1]
RECIPES = REPOSITORY / "train" / "published"
RESULT = REPOSITORY / "benchmarks" / "results" / "published.json"
FLAGSHIP = "keypointnet"
NOT_RUN = ("vgg16_imagenet", "vgg19_imagenet")
"""Recipes that start from ImageNet weights, which could not be had where this was measured."""
HEAVY = ("conv_bn_leaky", "vgg16", "vgg19")
"""Networks for which two cores are too slow."""
CALIBRATION_CROPS = 300
ROUNDS, ROUND_S = 15, 0.05
"""Latency is the median over rounds, in each of which every network runs in turn for so long."""

AUTHORS = {
    "lenet5": "dev MSE 20.01",
    "lenet5_median": "dev MSE 13.61",
    "lenet5_knn": "dev MSE 19.95",
    "vgg16": "dev MSE 13.17",
    "vgg16_imagenet": "dev MSE 4.37; augmented 3.97",
    "vgg19": "dev MSE 13.18",
    "vgg19_imagenet": "dev MSE 4.29; augmented 4.31",
    "knn": "dev MSE 17.24",
    "conv_small": "val MSE 7.1",
    "conv_small_dropout": "val MSE 9.0",
    "residual": "test MSE 7.39",
}
"""px squared, on the competition's own data. conv_small gives 0.0031 and 0.0039 in units of 48 px."""


def measure(path: Path, data: Path, out: Path, epochs: int, minutes: float) -> dict[str, Any]:
    """Trains, converts and measures the recipe at `path`, unless that is done already."""
    recipe = read_recipe(path)
    folder, noted = out / path.stem, out / f"{path.stem}.json"
    if noted.exists():
        return dict(json.loads(noted.read_text()))
    print(f"== {path.stem}", file=sys.stderr, flush=True)
    keras.backend.clear_session()  # the networks before take gigabytes
    if isinstance(recipe, KnnRecipe):
        row = _measure_knn(recipe, data, folder)
    else:
        assert isinstance(recipe, PublishedRecipe), path
        limit = minutes if path.stem in HEAVY else 0.0
        row = _measure_network(recipe, data, folder, {"epochs": epochs, "minutes": limit})
    row |= {"recipe": path.stem, "missing": recipe.missing}
    noted.write_text(json.dumps(row, indent=1) + "\n")
    for checkpoints in folder.rglob("checkpoints"):  # hundreds of megabytes each
        shutil.rmtree(checkpoints)
    return row


def _measure_knn(recipe: KnnRecipe, data: Path, folder: Path) -> dict[str, Any]:
    train_knn(recipe, data_dir=data, out=folder, resume=True)
    rows = prepared(split_rows(load_rows(recipe.data, data), recipe.data)["train"], recipe.missing, recipe.neighbours)
    test = read_kaggle(data / "test.csv")
    figures = figures_of(nearest_points(rows, test, recipe.neighbours), test)
    return {"float": _errors(figures), "bytes": len(rows) * 96 * 96}


def _measure_network(recipe: PublishedRecipe, data: Path, folder: Path, fit: dict[str, float]) -> dict[str, Any]:
    trained = folder / "model.keras"
    if not trained.exists():
        limited = msgspec.structs.replace(recipe, fit=msgspec.structs.replace(recipe.fit, **fit))
        train_published(limited, data_dir=data, out=folder, resume=True)
    network = load_network(trained, Foreign())
    rows = [split_rows(load_rows(recipe.data, data), recipe.data)["train"]]
    int8 = to_int8(network, calibration_crops(rows, CALIBRATION_CROPS, seed=7))
    mean = unshifted_mean(network, int8, calibration_crops(rows, CALIBRATION_CROPS, seed=8))
    models = {"float": keypoint_model(network, to_float(network)), "int8": keypoint_model(network, int8, mean)}
    path = folder / f"{folder.name}-int8.tflite"
    card = card_of(network, int8, "int8", mean_shape=mean)
    write_model_file(path, int8, card, golden_cases(models["int8"]), overwrite=True)
    test = read_kaggle(data / "test.csv")
    epochs = [json.loads(line) for file in folder.rglob("history.jsonl") for line in file.read_text().splitlines()]
    took = sum(epoch["seconds"] for epoch in epochs) / 60
    return {
        "parameters": card.parameters,
        **{name: _errors(evaluate(model, test).figures) for name, model in models.items()},
        "bytes": path.stat().st_size,
        "model": str(path.relative_to(folder.parent)),
        "minutes": took,
        "cut_short": 0 < fit["minutes"] <= took,
        "epochs": len(epochs),
        "steps": sum(epoch["steps"] for epoch in epochs),
    }


def _errors(figures: dict[str, Any]) -> dict[str, float]:
    rmse = figures["rmse_px"]
    return {"rmse_px": rmse, "mae_px": figures["mae_px"], "mse_px2": rmse**2, "nme_percent": figures["nme_percent"]}


def latencies_ms(models: dict[str, KeypointModel], data: Path) -> dict[str, float]:
    """Median milliseconds of one inference, all networks measured in turn so that a slow moment hits them alike."""
    picture = read_kaggle(data / "test.csv").images[0]
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(ROUNDS):
        for name, model in models.items():
            until = time.perf_counter() + ROUND_S
            while True:
                started = time.perf_counter()
                model.invoke(picture)
                times[name].append(1000 * (time.perf_counter() - started))
                if time.perf_counter() > until:
                    break
    return {name: statistics.median(values) for name, values in times.items()}


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown, best first; recipes that were not run at the end."""
    lines = [
        "| recipe | missing values | epochs | parameters | float RMSE px | float MAE px | float MSE px² | int8 RMSE px "
        "| int8 file MB | time of one inference | its author, own data, px² |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(rows, key=lambda r: r["float"]["rmse_px"]):
        errors, network = row["float"], "int8" in row
        cells = [
            row["recipe"],
            row["missing"],
            f"{row['epochs']}{', cut short' if row['cut_short'] else ''}" if network else "-",
            f"{row['parameters']:,}" if network else "none",
            f"{errors['rmse_px']:.2f}",
            f"{errors['mae_px']:.2f}",
            f"{errors['mse_px2']:.2f}",
            f"{row['int8']['rmse_px']:.2f}" if network else "-",
            f"{row['bytes'] / 1e6:.2f}" if network else f"{row['bytes'] / 1e6:.0f} of pictures",
            f"{row['latency_ratio']:.1f} x" if network else "-",
            AUTHORS.get(row["recipe"], "-"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += [f"| {name} | {' | '.join(['not run', *['-'] * 8])} | {AUTHORS[name]} |" for name in NOT_RUN]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with training.csv, test.csv and test_labels.csv")
    parser.add_argument("out", type=Path, help="folder for the runs")
    parser.add_argument("--epochs", type=int, default=40, help="a recipe has at most (default: 40)")
    parser.add_argument("--minutes", type=float, default=3, help="of the heavy ones (default: 3)")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    recipes = [path for path in sorted(RECIPES.glob("*.toml")) if path.stem not in NOT_RUN]
    rows = [measure(path, args.data, args.out, args.epochs, args.minutes) for path in recipes]
    networks = {row["recipe"]: open_model(args.out / row["model"]) for row in rows if "model" in row}
    took = latencies_ms(networks, args.data)
    for row in rows:
        if row["recipe"] in took:
            row["latency_ratio"] = took[row["recipe"]] / took[FLAGSHIP]
    machine = {"machine": platform.machine(), "cores": os.cpu_count()}
    result = machine | {"epochs": args.epochs, "heavy_minutes": args.minutes} | {"not_run": NOT_RUN, "rows": rows}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
