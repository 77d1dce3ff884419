"""`train` for a finder: from a recipe and a data folder to a trained network and its recall."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from fkp_edge import data
from fkp_edge.errors import InputError
from fkp_edge.evaluation.evaluate import PROPOSALS, label_photographs
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import find_model
from fkp_edge.train.finder.compose import Composer
from fkp_edge.train.finder.fit import FinderFitter
from fkp_edge.train.finder.network import build_finder
from fkp_edge.train.finder.recipe import FinderRecipe
from fkp_edge.train.finder.sources import read_chips, read_photographs
from fkp_edge.train.run import TrainResult
from fkp_edge.train.saved import save_trained

__all__ = ["train_finder"]


def train_finder(
    recipe: FinderRecipe,
    *,
    data_dir: Path,
    out: Path,
    resume: bool = False,
    start: Path | None = None,
    trust_code: bool = False,
) -> TrainResult:
    """Trains `recipe` on the pictures below `data_dir` and writes the run to `out`; see `train.run.train`.

    `start` is a finder to go on from: model.keras of a run, a model file, or a shipped one's name.

    Raises:
        InputError: a folder is missing or empty, `start` is no finder like the recipe's, or `out` holds a run and
            `resume` is not given, or another network's.
    """
    if not resume and (out / "history.jsonl").exists():
        raise InputError(f"{out} already holds a training run; add --resume to go on, or name another --out")
    if start is not None and not start.suffix:
        start = find_model(str(start))
    validation = label_photographs(data.read_scenes(data_dir / recipe.data.val_scenes))
    _prepare_folder(out, recipe)
    composer = compose_from(recipe, data_dir)
    fitter = FinderFitter(recipe, composer, validation, out, start, trust_code)
    if resume:
        fitter.resume()
    averaged = fitter.run()
    figures = {
        recipe.data.val_scenes: {
            **{key.removeprefix("val_"): value for key, value in fitter.evaluate().items()},
            "proposals": PROPOSALS,
            "faces": int(np.sum([len(photograph.faces) for photograph in validation])),
            "photographs": len(validation),
        }
    }
    model = build_finder(recipe.network, batch=1)
    model.set_weights(averaged.get_weights())
    save_trained(model, recipe, None, {"validation": figures}, out)
    return TrainResult(out / "model.keras", figures)


def compose_from(recipe: FinderRecipe, data_dir: Path) -> Composer:
    """What draws the frames of `recipe` from the pictures below `data_dir`.

    Raises:
        InputError: a folder is missing or empty, or the keypoint network finds no face in one.
    """
    keypoints = open_model(find_model(recipe.data.points_by))
    photographs = read_photographs(data.read_scenes(data_dir / recipe.data.scenes), keypoints)
    chips = [read_chips(data_dir / folder, keypoints, keep_out=one_in) for folder, one_in in recipe.data.chips.items()]
    for folder, sources in zip((recipe.data.scenes, *recipe.data.chips), (photographs, *chips), strict=True):
        if not any(source.faces for source in sources):
            raise InputError(f"{data_dir / folder} has no picture whose face {recipe.data.points_by} is sure of")
    return Composer(photographs, chips, recipe.compose)


def _prepare_folder(out: Path, recipe: FinderRecipe) -> None:
    """Makes `out` and notes the recipe there; what is resumed must be the same network."""
    noted = out / "recipe.json"
    try:
        out.mkdir(parents=True, exist_ok=True)
        before = msgspec.json.decode(noted.read_bytes(), type=FinderRecipe) if noted.exists() else recipe
        if before.network == recipe.network:
            noted.write_bytes(msgspec.json.format(msgspec.json.encode(recipe), indent=1))
    except (OSError, msgspec.MsgspecError) as error:
        raise InputError(f"cannot use {out} for a run: {error}; name another --out") from error
    if before.network != recipe.network:
        raise InputError(f"{out} holds a run of another network; name another --out")
