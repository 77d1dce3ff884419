"""tf-keras model -> TFLite flatbuffer: float32, or int8 by post-training quantisation."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkp_edge.data import FaceSet
from fkp_edge.geometry import CROP_SIZE, extract
from fkp_edge.train.augment import sample_crop
from fkp_edge.train.backend import keras, tf
from fkp_edge.train.recipe import Augment

__all__ = ["calibration_crops", "to_float32", "to_int8", "with_bias", "without_dense"]

FRAMING = Augment(half_share=0, wide_share=0)
"""As Haar, the tracker and labels frame faces, without the crops far off whose offsets would widen every range."""
LOGIT_RANGE = 8.0
"""Largest logit that int8 tells apart: a score of 0.9997, nearer to 1 than the output's step."""


def calibration_crops(sets: list[FaceSet], count: int, seed: int) -> NDArray[np.uint8]:
    """Crops (N, 96, 96), equally from each set, framed as the device does; the same seed gives the same crops."""
    rng = np.random.default_rng(seed)
    crops = []
    for number in range(count):
        faces = sets[number % len(sets)]
        index = int(rng.integers(len(faces)))
        crop = faces.crop(index) if faces.cropped else sample_crop(faces, index, rng, FRAMING)
        crops.append(extract(faces.images[index], crop))
    return np.stack(crops)


def _converter(model: keras.Model) -> Any:
    """A converter of `model` with batch size 1: TFLite wants static shapes."""
    pixels = keras.layers.Input((CROP_SIZE, CROP_SIZE, 1), batch_size=1, name="pixels")
    model = without_dense(model)
    return tf.lite.TFLiteConverter.from_keras_model(keras.Model(pixels, model(pixels)))


def without_dense(model: keras.Model) -> keras.Model:
    """The same network with every Dense layer as a 1x1 convolution on one position.

    A per-channel quantised Dense layer silently returns constants in older TFLite runtimes and is unproven on the Edge
    TPU compiler.
    """

    def rewritten(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.Model):
            return keras.models.clone_model(layer, clone_function=rewritten)
        if not isinstance(layer, keras.layers.Dense):
            return layer.__class__.from_config(layer.get_config())
        inputs = int(layer.input_shape[-1])
        convolution = keras.layers.Conv2D(layer.units, 1, activation=layer.activation, use_bias=layer.use_bias)
        steps = [keras.layers.Reshape((1, 1, inputs)), convolution, keras.layers.Reshape((layer.units,))]
        # without an Input of its own: clone_model loops for ever where a layer brings one that the old layer had not
        return keras.Sequential(steps, name=layer.name)

    copy = keras.models.clone_model(model, clone_function=rewritten)
    copy.set_weights([old.reshape(new.shape) for old, new in zip(model.get_weights(), copy.weights, strict=True)])
    return copy


def to_float32(model: keras.Model) -> bytes:
    """The network as a float32 flatbuffer: raw grey levels as float32 in."""
    return bytes(_converter(model).convert())


def to_int8(model: keras.Model, crops: NDArray[np.uint8]) -> bytes:
    """The network as an int8 flatbuffer, uint8 in and int8 out, with ranges from `crops` (N, 96, 96)."""

    def representative() -> Iterator[list[NDArray[np.float32]]]:
        for crop in crops:
            yield [crop.astype(np.float32).reshape(1, CROP_SIZE, CROP_SIZE, 1)]

    converter = _converter(_with_score_range(model))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8  # the graph takes floats: a uint8 Keras input quantises to CAST
    converter.inference_output_type = tf.int8
    with warnings.catch_warnings():
        # meant for the converter of TensorFlow 1: here the calibration crops give the input's range
        warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected")
        return bytes(converter.convert())


def _with_score_range(model: keras.Model) -> keras.Model:
    """`model` with int8's range of the score's logit fixed, so that `crops` need not show what is no face.

    Such crops would widen every other tensor's range too (convert/README.md); without any, no score falls below 0.5.
    """
    if "score" not in model.output_names:
        return model
    logit = model.get_layer("score_logit").output
    ranged = tf.quantization.fake_quant_with_min_max_args(logit, -LOGIT_RANGE, LOGIT_RANGE)
    score = keras.layers.Activation("sigmoid", name="score")(keras.layers.Reshape((1,))(ranged))
    return keras.Model(model.input, {"keypoints": model.output["keypoints"], "score": score})


def with_bias(model: keras.Model, missing: NDArray[np.floating]) -> keras.Model:
    """A copy of `model` with `missing` (2K,), what int8's keypoints lack on average, added to the last layer's bias.

    Rounded weights and ranges shift an int8 network's outputs by a constant, which costs nothing to take back (Nagel et
    al., Data-Free Quantization through Weight Equalization and Bias Correction, ICCV 2019, here for the last layer).
    """
    corrected = keras.models.clone_model(model)
    corrected.set_weights(model.get_weights())
    layer = corrected.get_layer("offsets")
    kernel, bias = layer.get_weights()
    layer.set_weights([kernel, bias + missing])
    return corrected
