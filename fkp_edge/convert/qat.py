"""Quantisation-aware training with tensorflow-model-optimization: the network learns with int8's rounding in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkp_edge.convert.backend import tfmot
from fkp_edge.errors import InputError
from fkp_edge.train.backend import keras, tf

__all__ = ["quantisation_aware", "settle_ranges"]

quantize = tfmot.quantization.keras
RANGE_BATCHES = 40
"""Batches that set the ranges of activations before learning starts: they move by a hundredth a batch."""
RANGE_BATCH = 32


class _AsItIs(tfmot.quantization.keras.QuantizeConfig):
    """Leaves a layer alone: scaling grey levels is folded into the input's own scale."""

    def get_weights_and_quantizers(self, layer: Any) -> list[Any]:  # noqa: ARG002 - their interface
        return []

    def get_activations_and_quantizers(self, layer: Any) -> list[Any]:  # noqa: ARG002 - their interface
        return []

    def set_quantize_weights(self, layer: Any, quantize_weights: Any) -> None:
        pass

    def set_quantize_activations(self, layer: Any, quantize_activations: Any) -> None:
        pass

    def get_output_quantizers(self, layer: Any) -> list[Any]:  # noqa: ARG002 - their interface
        return []

    def get_config(self) -> dict[str, Any]:
        return {}


def quantisation_aware(model: keras.Model) -> keras.Model:
    """A copy of `model` with int8's rounding in its forward pass, batch norm's averages frozen.

    Raises:
        InputError: it has a layer that tensorflow-model-optimization cannot quantise.
    """

    def annotated(layer: Any) -> Any:
        copy = layer.__class__.from_config(layer.get_config())
        if isinstance(layer, keras.layers.InputLayer):
            return copy
        if isinstance(layer, keras.layers.Rescaling):
            return quantize.quantize_annotate_layer(copy, _AsItIs())
        return quantize.quantize_annotate_layer(copy)

    try:
        marked = keras.models.clone_model(model, clone_function=annotated)
        marked.set_weights(model.get_weights())
        with quantize.quantize_scope({"_AsItIs": _AsItIs}):
            aware = quantize.quantize_apply(marked)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0][:200]
        raise InputError(
            f'quantisation-aware training cannot have this network: {reason}; expected quantise = "ptq"'
        ) from error
    for layer in aware.layers:
        inner = getattr(layer, "layer", layer)
        if isinstance(inner, keras.layers.BatchNormalization):
            layer.trainable = inner.trainable = False
    return aware


def settle_ranges(aware: keras.Model, crops: NDArray[np.uint8], seed: int) -> keras.Model:
    """Shows `aware` the calibration crops until the ranges of its activations are theirs; the same network."""
    rng = np.random.default_rng(seed)
    look = tf.function(lambda pixels: aware(pixels, training=True))
    for _ in range(RANGE_BATCHES):
        index = rng.integers(len(crops), size=RANGE_BATCH)
        look(tf.constant(crops[index][..., None].astype(np.float32)))
    return aware
