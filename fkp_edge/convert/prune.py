"""The pruning step of a conversion: filters or single weights, then fine-tuning."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any

from fkp_edge.convert.channels import (
    Filters,
    count_macs,
    counts_left,
    find_filters,
    importance_of,
    keep_best,
    remove_filters,
)
from fkp_edge.convert.load import Network
from fkp_edge.convert.recipe import ConvertRecipe, Prune
from fkp_edge.convert.weights import PruneWeights, zero_share
from fkp_edge.errors import InputError
from fkp_edge.train.backend import keras

__all__ = ["Tuned", "copied", "prune", "smaller"]

Tuned = Callable[[Callable[[], keras.Model], Any], tuple[keras.Model, keras.Model]]
"""Trains what the first argument builds, its hook before each step; the averaged network and the one that learnt."""


def prune(network: Network, recipe: ConvertRecipe, tuned: Tuned, steps: Callable[[], int]) -> tuple[Network, str]:
    """`network` pruned as `recipe` says and fine-tuned, with what was done in words; itself where it says nothing.

    Args:
        network: a tf-keras network.
        recipe: which way, how much.
        tuned: fine-tuning.
        steps: says how many steps fine-tuning has.

    Raises:
        InputError: no layer of the network can lose filters.
    """
    config, model = recipe.prune, network.model
    if config.channels:
        pruned = smaller(model, config)
        averaged, _ = tuned(lambda: copied(pruned), None)
        before, after = count_macs(model), count_macs(averaged)
        kept = f" but {', '.join(config.keep)}" if config.keep else ""
        counts = [filters.count for filters in _free_filters(model, config)]
        gone = sum(counts) - sum(counts_left(counts, config.channels))
        how = (
            f"{gone} of {sum(counts)} filters ({gone / sum(counts):.1%}, asked for were {config.channels:.1%}) of the "
            f"{len(counts)} layers that can lose some{kept}, by {config.importance}: {before - after:,} of {before:,} "
            f"multiply-accumulates fewer; tuned for {recipe.tune.epochs} epochs"
        )
        return network.with_model(averaged), how
    if config.weights:
        fading = PruneWeights(config.weights, steps())
        plain = fading.unwrap(*tuned(lambda: fading.wrap(model), fading.before_step))
        how = (
            f"{zero_share(plain):.0%} of the weights of convolutions are zero, on a polynomial schedule over "
            f"{recipe.tune.epochs} epochs; no TFLite kernel gets faster by that, only the compressed file smaller"
        )
        return network.with_model(plain), how
    return network, ""


def smaller(model: keras.Model, config: Prune) -> keras.Model:
    """`model` without the filters that matter least, not tuned yet.

    Raises:
        InputError: no layer can lose filters, or one that shall keep them is not there.
    """
    found = _free_filters(model, config)
    names = [layer.name for layer in model.layers]
    for name in config.keep:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0)
            raise InputError(f"prune.keep: the network has no layer {name!r}; did you mean {near[0]!r}?")
    if not found:
        raise InputError(
            "no layer of this network can lose filters: their channels meet others in additions or in networks inside "
            "the network; expected prune.channels = 0"
        )
    left = counts_left([filters.count for filters in found], config.channels)
    kept = [keep_best(importance_of(model, f, config.importance), n) for f, n in zip(found, left, strict=True)]
    return remove_filters(model, list(zip(found, kept, strict=True)))


def _free_filters(model: keras.Model, config: Prune) -> list[Filters]:
    """The layers that may lose filters."""
    return [filters for filters in find_filters(model) if filters.layer not in config.keep]


def copied(model: keras.Model) -> keras.Model:
    """A network of its own with the same weights: each call is for another device or average."""
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy
