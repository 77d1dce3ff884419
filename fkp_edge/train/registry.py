"""The kinds of recipe, and which code trains each: imported when all that it reads has been found."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from fkp_edge.core.settings import parse_settings, read_values
from fkp_edge.errors import InputError
from fkp_edge.train.finder.recipe import FinderRecipe
from fkp_edge.train.inputs import check_start, check_unused, read_inputs
from fkp_edge.train.published.recipe import KnnRecipe, PublishedRecipe
from fkp_edge.train.published.rows import check_rows
from fkp_edge.train.recipe import Recipe

if TYPE_CHECKING:
    from fkp_edge.evaluation.evaluate import Propose
    from fkp_edge.train.run import TrainResult

__all__ = ["KINDS", "AnyRecipe", "read_recipe", "train_any"]

AnyRecipe = Recipe | FinderRecipe | PublishedRecipe | KnnRecipe

KINDS: dict[str, type[AnyRecipe]] = {
    "keypointnet": Recipe,
    "finder": FinderRecipe,
    "published": PublishedRecipe,
    "knn": KnnRecipe,
}


def read_recipe(path: Path) -> AnyRecipe:
    """The recipe in `path`, of the kind that its key `kind` says (keypointnet where it says none).

    Raises:
        InputError: the file is missing or no TOML, or a kind, key or value in it is unknown.
    """
    values = read_values(path)
    kind = values.get("kind", "keypointnet")
    if kind not in KINDS:
        near = difflib.get_close_matches(str(kind), KINDS, n=1, cutoff=0)
        raise InputError(f"{path}: kind = {kind!r}; did you mean {near[0]!r}? expected one of {', '.join(KINDS)}")
    return parse_settings(values, KINDS[kind], str(path))


def train_any(
    recipe: AnyRecipe,
    *,
    data_dir: Path,
    out: Path,
    propose: Propose,
    start: Path | None = None,
    trust_code: bool = False,
    resume: bool = False,
) -> TrainResult:
    """Trains a recipe of any kind; see `train.run.train` for the arguments.

    Raises:
        InputError: `start` is given for a recipe that cannot go on from other weights; and what its kind raises.
    """
    if isinstance(recipe, Recipe):
        check_unused(out, resume=resume)
        start = check_start(start, recipe)
        inputs = read_inputs(recipe, data_dir)
        from fkp_edge.train.run import train

        return train(recipe, inputs, out=out, propose=propose, start=start, trust_code=trust_code, resume=resume)
    if isinstance(recipe, FinderRecipe):
        from fkp_edge.train.finder.run import train_finder

        return train_finder(recipe, data_dir=data_dir, out=out, resume=resume, start=start, trust_code=trust_code)
    if start:
        raise InputError(f"--start {start}: recipes of kind {recipe.kind} start from their own weights; leave it out")
    check_rows(recipe.data, data_dir)
    from fkp_edge.train.published.run import train_knn, train_published

    if isinstance(recipe, PublishedRecipe):
        return train_published(recipe, data_dir=data_dir, out=out, resume=resume)
    return train_knn(recipe, data_dir=data_dir, out=out, resume=resume)
