"""Float network -> TFLite flatbuffer: float32, float16, dynamic range, or int8 by post-training quantisation."""

from __future__ import annotations

import csv
import functools
import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkp_edge.convert.backend import freeze
from fkp_edge.convert.load import Network
from fkp_edge.core.geometry import CROP_SIZE, extract
from fkp_edge.data import FaceSet
from fkp_edge.train.augment import sample_crop
from fkp_edge.train.backend import keras, tf
from fkp_edge.train.recipe import Augment

__all__ = [
    "LayerError",
    "all_int8",
    "calibration_crops",
    "converted",
    "frozen_converter",
    "layer_errors",
    "qat_to_int8",
    "to_float",
    "to_int8",
    "without_dense",
]

FRAMING = Augment(half_share=0, wide_share=0)
"""As Haar, the tracker and labels frame faces, without the crops far off whose offsets would widen every range."""
LOGIT_RANGE = 8.0
"""Largest logit that int8 tells apart: a score of 0.9997, nearer to 1 than the output's step."""
DEBUG_CROPS = 16
"""Crops on which the layers' errors are measured: each takes a second."""

Crops = NDArray[np.uint8]


class LayerError(NamedTuple):
    """What int8 does to one tensor, its inputs being exact."""

    tensor: str
    """Its name in the flatbuffer, which is what `to_int8` takes as `in_float`."""
    snr_db: float
    """Signal-to-noise ratio, decibels: mean square of the values over that of their error."""

    @property
    def layer(self) -> str:
        """The network's layer that the tensor comes from."""
        return next((part for part in reversed(self.tensor.split(";")[0].split("/")[:-1]) if part), self.tensor)


def calibration_crops(sets: list[FaceSet], count: int, seed: int) -> Crops:
    """Crops (N, 96, 96), equally from each set, framed as the device does; the same seed gives the same crops."""
    rng = np.random.default_rng(seed)
    crops = []
    for number in range(count):
        faces = sets[number % len(sets)]
        index = int(rng.integers(len(faces)))
        crop = faces.crop(index) if faces.cropped else sample_crop(faces, index, rng, FRAMING)
        crops.append(extract(faces.images[index], crop))
    return np.stack(crops)


def _converter(network: Network) -> Any:
    """A converter of `network` with batch size 1: TFLite wants static shapes."""
    if network.model is not None:
        return frozen_converter(network.model)
    converter = frozen_converter(network.saved.serve)
    # its dense layers cannot be rewritten (see without_dense): weights per tensor are safe in every runtime
    converter._experimental_disable_per_channel_quantization_for_dense_layers = True
    return converter


def frozen_converter(
    call: Callable[[tf.Tensor], Any],
    *,
    size: tuple[int, int] = (CROP_SIZE, CROP_SIZE),
    names: tuple[str, ...] = ("keypoints", "score"),
) -> Any:
    """A converter of `call`, its variables made constants: from_keras_model writes and reads a SavedModel each time,
    which takes thirty times as long.

    `size` is the width and height of its pictures; `names` are those of its outputs, of which the last may lack.
    """
    pixels = tf.TensorSpec((1, size[1], size[0], 1), tf.float32, name="pixels")
    frozen = freeze(tf.function(lambda pixels: call(pixels)).get_concrete_function(pixels), lower_control_flow=False)
    given = names[: len(frozen.outputs)]  # frozen functions forget names and keep their order

    named = tf.function(lambda pixels: dict(zip(given, frozen(pixels), strict=True)))

    return tf.lite.TFLiteConverter.from_concrete_functions([named.get_concrete_function(pixels)], tf.Module())


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


@functools.lru_cache(maxsize=4)  # the float twin is asked for by each way of quantising
def to_float(network: Network, kind: Literal["float32", "float16", "dynamic"] = "float32") -> bytes:
    """The network as a flatbuffer that takes raw grey levels as float32.

    `float16` halves the weights; `dynamic` keeps them as int8 and the values between layers as floats.
    """
    converter = _converter(_convolutional(network))
    if kind != "float32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if kind == "float16":
        converter.target_spec.supported_types = [tf.float16]
    return converted(converter)


def to_int8(network: Network, crops: Crops, *, in_float: tuple[str, ...] = ()) -> bytes:
    """The network as an int8 flatbuffer, uint8 in and int8 out, with ranges from `crops` (N, 96, 96).

    `in_float` names tensors whose layers stay in float.
    """
    converter = _int8_converter(network, crops)
    if not in_float:
        return converted(converter)
    options = tf.lite.experimental.QuantizationDebugOptions(denylisted_nodes=list(in_float))
    with _quiet():
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=converter, debug_dataset=_representative(crops[:1]), debug_options=options
        )
        return bytes(debugger.get_nondebug_quantized_model())


def qat_to_int8(aware: keras.Model) -> bytes:
    """A network of quantisation-aware training as an int8 flatbuffer; its own ranges, so no crops."""
    converter = frozen_converter(aware)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.inference_input_type = tf.uint8
    converter.inference_output_type = tf.int8
    return converted(converter)


def layer_errors(network: Network, crops: Crops) -> list[LayerError]:
    """The signal-to-noise ratio that int8 leaves in each layer's output, the worst first."""
    options = tf.lite.experimental.QuantizationDebugOptions(
        layer_direct_compare_metrics={"signal": _signal, "noise": _noise}
    )
    with _quiet():
        debugger = tf.lite.experimental.QuantizationDebugger(
            converter=_int8_converter(network, crops),
            debug_dataset=_representative(crops[:DEBUG_CROPS]),
            debug_options=options,
        )
        # XNNPACK leaves tensors that it fuses unwritten, which would be read as noise of 1e38
        debugger._quant_interpreter = tf.lite.Interpreter(
            model_content=debugger.get_debug_quantized_model(),
            experimental_op_resolver_type=tf.lite.experimental.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
            experimental_preserve_all_tensors=True,
        )
        debugger._quant_interpreter.allocate_tensors()
        debugger.run()
        table = io.StringIO()
        debugger.layer_statistics_dump(table)
    table.seek(0)
    found = [
        LayerError(row["tensor_name"], _decibels(float(row["signal"]), float(row["noise"])))
        for row in csv.DictReader(table)
    ]
    return sorted(found, key=lambda error: error.snr_db)


def _signal(real: NDArray[np.float32], *_: Any) -> float:
    return float(np.mean(np.square(real)))


def _noise(real: NDArray[np.float32], whole: NDArray[np.integer], scale: float, zero: int) -> float:
    return float(np.mean(np.square(real - scale * (whole.astype(np.float32) - zero))))


def _decibels(signal: float, noise: float) -> float:
    least = 1e-20
    return float(10 * np.log10(max(signal, least) / max(noise, least)))


def _int8_converter(network: Network, crops: Crops) -> Any:
    converter = _converter(_with_score_range(_convolutional(network)))
    return all_int8(converter, crops)


def all_int8(converter: Any, pictures: Crops) -> Any:
    """`converter` set to int8 by post-training quantisation, uint8 in, with ranges from `pictures` (N, H, W)."""
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = _representative(pictures)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.uint8  # the graph takes floats: a uint8 Keras input quantises to CAST
    converter.inference_output_type = tf.int8
    return converter


def _representative(crops: Crops) -> Any:
    def draw() -> Iterator[list[NDArray[np.float32]]]:
        for crop in crops:
            yield [crop.astype(np.float32)[None, ..., None]]

    return draw


def _convolutional(network: Network) -> Network:
    return network if network.model is None else network.with_model(without_dense(network.model))


def _with_score_range(network: Network) -> Network:
    """`network` with int8's range of the score's logit fixed, so that calibration need not show what is no face.

    Such crops would widen every other tensor's range too (convert/README.md); without any, no score falls below 0.5.
    """
    model = network.model
    if model is None or "score_logit" not in [layer.name for layer in model.layers]:
        return network
    logit = model.get_layer("score_logit").output
    ranged = tf.quantization.fake_quant_with_min_max_args(logit, -LOGIT_RANGE, LOGIT_RANGE)
    score = keras.layers.Activation("sigmoid", name="score")(keras.layers.Reshape((1,))(ranged))
    return network.with_model(keras.Model(model.input, {"keypoints": model.output["keypoints"], "score": score}))


def converted(converter: Any) -> bytes:
    """The flatbuffer that `converter` makes."""
    with _quiet():
        return bytes(converter.convert())


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the converter's remarks on TensorFlow 1 and on its own interpreter's future."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Statistics for quantized inputs were expected")
        warnings.filterwarnings("ignore", "(?s).*tf.lite.Interpreter is deprecated")
        yield
