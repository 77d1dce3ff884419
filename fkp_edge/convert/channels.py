"""Structured pruning: removes whole filters, with everything that reads them, so that every runtime gets faster.

A filter may go where its channel is private: from the layer that makes it, through layers that keep channels apart
(batch norm, activations, depthwise convolutions, pools), to layers that mix channels. Channels that meet others in an
addition or a concatenation, or that leave the network, stay: residual trunks keep their width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fkp_edge.train.backend import keras

__all__ = [
    "Filters",
    "Importance",
    "count_macs",
    "counts_left",
    "find_filters",
    "importance_of",
    "keep_best",
    "remove_filters",
]

Importance = Literal["l1", "batch_norm"]
ROUND = 16
"""Filters are kept in multiples of so many where a layer has twice as many and keeps one block at least: int8 kernels
for ARM make 16 channels at a time, and a block that is not full costs as much as one that is. On the network that
ships, 30 % removed in eights save 28 % of the multiply-accumulates but 19 % of a Pi 5's instructions; in sixteens 31 %
and 26 %, and lose less."""
MISS = 0.01
"""Share of all filters by which sixteens may miss the share asked for."""

layers = keras.layers
APART = (
    layers.Activation,
    layers.AveragePooling2D,
    layers.BatchNormalization,
    layers.DepthwiseConv2D,
    layers.Dropout,
    layers.Flatten,
    layers.GlobalAveragePooling2D,
    layers.LeakyReLU,
    layers.MaxPooling2D,
    layers.ReLU,
    layers.Reshape,
    layers.ZeroPadding2D,
)
"""Layers that keep channels apart; a Reshape does where it leaves the last axis or joins positions before it."""
MIXING = (layers.Conv2D, layers.Dense)


@dataclass(frozen=True)
class Filters:
    """The filters of one layer that can be removed, and who else knows of them."""

    layer: str
    """Convolution or dense layer whose outputs they are."""
    count: int
    carriers: tuple[str, ...]
    """Batch norms and depthwise convolutions on the way, in order."""
    readers: tuple[str, ...]
    """Convolutions and dense layers that take them in."""


def find_filters(model: keras.Model) -> list[Filters]:
    """The layers of `model` whose filters can be removed, in the network's order."""
    outputs = set(model.output_names)
    found = []
    for layer in model.layers:
        if _mixes(layer) and (way := _follow(layer, outputs)):
            carriers, readers = way
            found.append(Filters(layer.name, int(layer.output_shape[-1]), tuple(carriers), tuple(readers)))
    return found


def _mixes(layer: Any) -> bool:
    return isinstance(layer, MIXING) and not isinstance(layer, layers.DepthwiseConv2D)


def _follow(layer: Any, outputs: set[str]) -> tuple[list[str], list[str]] | None:
    """Carriers and readers of the channels of `layer`; None where they do not stay private."""
    carriers: list[str] = []
    readers: list[str] = []
    ahead = [layer]
    while ahead:
        current = ahead.pop(0)
        nodes = current.outbound_nodes
        if current.name in outputs or not nodes:
            return None
        for after in (node.outbound_layer for node in nodes):
            if _mixes(after):
                if getattr(after, "groups", 1) != 1:
                    return None
                readers.append(after.name)
            elif isinstance(after, APART) and _keeps_apart(after):
                if after.weights:
                    carriers.append(after.name)
                ahead.append(after)
            else:
                return None
    return carriers, readers


def _keeps_apart(layer: Any) -> bool:
    if isinstance(layer, layers.DepthwiseConv2D):
        return bool(layer.depth_multiplier == 1)
    if isinstance(layer, layers.Reshape):
        before, after = layer.input_shape[-1], layer.output_shape[-1]
        return -1 in layer.target_shape and after % before == 0
    return not isinstance(layer, layers.Activation) or layer.activation.__name__ != "softmax"


def importance_of(model: keras.Model, filters: Filters, measure: Importance) -> NDArray[np.float64]:
    """How much each filter matters (count,).

    `batch_norm`: the absolute gain of the last batch norm before its readers (Liu et al., Network Slimming, ICCV 2017);
    `l1` where there is none. `l1`: the sum of its absolute weights, times the scale that a batch norm right after gives
    it (Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017). On the network that ships, 30 % of the filters
    removed and nothing tuned, the NME goes from 4.0 % to 9.5 % by the first and to 73 % by the second.
    """
    norms = [name for name in filters.carriers if isinstance(model.get_layer(name), layers.BatchNormalization)]
    if measure == "batch_norm" and norms:
        return np.abs(_gain(model.get_layer(norms[-1]))[0])
    kernel = model.get_layer(filters.layer).get_weights()[0]
    weight = np.abs(kernel).reshape(-1, filters.count).sum(0).astype(np.float64)
    if norms:
        gain, deviation = _gain(model.get_layer(norms[0]))
        weight *= np.abs(gain) / deviation
    return weight


def _gain(norm: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    variance = norm.moving_variance.numpy().astype(np.float64)
    gain = norm.gamma.numpy().astype(np.float64) if norm.scale else np.ones_like(variance)
    return gain, np.sqrt(variance + norm.epsilon)


def counts_left(counts: Sequence[int], share: float) -> list[int]:
    """How many filters each of the layers with `counts` keeps when `share` of all goes.

    Layers keep sixteens (see `ROUND`) where that is not below one block; those with the largest remainders are rounded
    up until the share is met over all. What sixteens cannot meet within `MISS`, as of a single layer, one layer gives
    or takes in single filters.
    """
    exact = [(1 - share) * count for count in counts]
    wanted = sum(exact)
    step = [ROUND if left >= ROUND and n >= 2 * ROUND else 1 for left, n in zip(exact, counts, strict=True)]
    kept = [max(1, int(left // one) * one) for left, one in zip(exact, step, strict=True)]
    for i in sorted(range(len(counts)), key=lambda i: (kept[i] - exact[i]) / step[i]):
        short = wanted - sum(kept)
        if 2 * short >= step[i] and kept[i] + step[i] <= counts[i]:
            kept[i] += step[i]
    off = wanted - sum(kept)
    if abs(off) > MISS * sum(counts):
        i = max(range(len(counts)), key=lambda i: kept[i])
        kept[i] = min(counts[i], max(1, kept[i] + round(off)))
    return kept


def keep_best(importance: NDArray[np.floating], count: int) -> NDArray[np.intp]:
    """Which `count` filters are the most important ones, in their order."""
    return np.sort(np.argsort(-importance, kind="stable")[:count])


def remove_filters(model: keras.Model, kept: Sequence[tuple[Filters, NDArray[np.intp]]]) -> keras.Model:
    """A copy of `model` that has only the filters named, each with the weights it had."""
    sizes = {filters.layer: len(index) for filters, index in kept}

    def smaller(layer: Any) -> Any:
        config = layer.get_config()
        if layer.name in sizes:
            config["filters" if isinstance(layer, layers.Conv2D) else "units"] = sizes[layer.name]
        return layer.__class__.from_config(config)

    copy = keras.models.clone_model(model, clone_function=smaller)
    weights = {layer.name: layer.get_weights() for layer in model.layers}
    for filters, index in kept:
        weights[filters.layer] = [np.take(w, index, axis=-1) for w in weights[filters.layer]]
        for name in filters.carriers:
            # a depthwise kernel is (h, w, channels, 1), all other weights of carriers end with the channels
            weights[name] = [np.take(w, index, axis=2 if w.ndim == 4 else -1) for w in weights[name]]
        for name in filters.readers:
            kernel, *rest = weights[name]
            # positions that were joined before come first: (positions * channels) on the input axis
            parts = kernel.reshape(*kernel.shape[:-2], -1, filters.count, kernel.shape[-1])
            taken = np.take(parts, index, axis=-2)
            weights[name] = [taken.reshape(*kernel.shape[:-2], -1, kernel.shape[-1]), *rest]
    for layer in copy.layers:
        layer.set_weights(weights[layer.name])
    return copy


def count_macs(model: keras.Model) -> int:
    """Multiply-accumulates of one inference in convolutions and dense layers."""
    total = 0
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            total += count_macs(layer)
        elif isinstance(layer, (*MIXING, layers.DepthwiseConv2D)):
            positions = int(np.prod(layer.output_shape[1:-1], dtype=int)) if len(layer.output_shape) > 2 else 1
            total += positions * int(np.prod(layer.weights[0].shape))
    return total
