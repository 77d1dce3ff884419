"""Unstructured pruning: sets single weights to zero on tensorflow-model-optimization's polynomial schedule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fkp_edge.convert.backend import tfmot
from fkp_edge.train.backend import keras

__all__ = ["PruneWeights", "zero_share"]

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
