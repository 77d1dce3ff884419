"""The pruning step of a conversion: filters or single weights, then fine-tuning."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from fkp_edge.convert.backend import tfmot
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
from fkp_edge.errors import InputError
from fkp_edge.train.backend import keras

__all__ = ["PruneWeights", "Tuned", "copied", "prune", "smaller", "zero_share"]

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


layers = keras.layers
SCHEDULE_SHARE = 0.6
"""Of the steps, over which the share of zeros grows; the rest lets the weights that are left settle."""
EVERY = 50
"""Steps between prunings."""


@dataclass(frozen=True)
class PruneWeights:
    """Prunes `share` of the weights of every convolution and dense layer while they learn (Zhu and Gupta, To prune, or
    not to prune, 2017)."""

    share: float
    steps: int
    """Of the whole training."""

    def wrap(self, model: keras.Model) -> keras.Model:
        """A copy of `model` whose weights fade."""
        every = min(EVERY, max(1, self.steps // 10))
        # the last pruning is the one that reaches the share, so the schedule must end on one
        end = every * max(1, int(SCHEDULE_SHARE * self.steps) // every)
        schedule = tfmot.sparsity.keras.PolynomialDecay(
            initial_sparsity=0.0, final_sparsity=self.share, begin_step=0, end_step=end, frequency=every
        )

        def fading(layer: Any) -> Any:
            copy = layer.__class__.from_config(layer.get_config())
            if not isinstance(layer, layers.Conv2D | layers.Dense) or isinstance(layer, layers.DepthwiseConv2D):
                return copy
            return tfmot.sparsity.keras.prune_low_magnitude(copy, pruning_schedule=schedule)

        wrapped = keras.models.clone_model(model, clone_function=fading)
        for old, new in zip(model.layers, wrapped.layers, strict=True):
            getattr(new, "layer", new).set_weights(old.get_weights())
        return wrapped

    @staticmethod
    def before_step(model: keras.Model, step: int) -> None:
        """Tells the schedule where the training is."""
        for layer in model.layers:
            if hasattr(layer, "pruning_step"):
                layer.pruning_step.assign(step)

    @staticmethod
    def unwrap(averaged: keras.Model, learnt: keras.Model) -> keras.Model:
        """The averaged network without the wrappers, zero where the one that learnt is masked."""
        plain = tfmot.sparsity.keras.strip_pruning(averaged)
        for layer, wrapped in zip(plain.layers, learnt.layers, strict=True):
            if hasattr(wrapped, "pruning_vars"):
                (_, mask, _), *_ = wrapped.pruning_vars  # the kernel's; after the last step only the mask is exact
                kernel, *rest = layer.get_weights()
                layer.set_weights([np.where(mask.numpy() == 0, 0, kernel), *rest])
        return plain


def zero_share(model: keras.Model) -> float:
    """The share of zeros among the weights of convolutions and dense layers."""
    kernels = [layer.get_weights()[0] for layer in model.layers if isinstance(layer, layers.Conv2D | layers.Dense)]
    return float(sum((k == 0).sum() for k in kernels) / max(1, sum(k.size for k in kernels)))
