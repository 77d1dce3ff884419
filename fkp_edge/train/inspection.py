"""Allow-list of tf-keras layers: a model's configuration is held against it before anything is built."""

from __future__ import annotations

from typing import Any

from fkp_edge.errors import InputError

__all__ = ["ACTIVATIONS", "LAYERS", "checked_config"]

LAYERS = frozenset(
    # models and what joins tensors
    "Functional Model Sequential InputLayer Add Average Concatenate Dot Maximum Minimum Multiply Subtract "
    # arithmetic
    "Conv1D Conv2D Conv2DTranspose Convolution2D DepthwiseConv2D Dense EinsumDense SeparableConv2D "
    "SeparableConvolution2D Attention MultiHeadAttention "
    # activations
    "Activation ELU LeakyReLU PReLU ReLU Softmax ThresholdedReLU "
    # normalisation
    "BatchNormalization GroupNormalization LayerNormalization Normalization UnitNormalization Rescaling "
    # pooling
    "AveragePooling2D AvgPool2D GlobalAveragePooling1D GlobalAveragePooling2D GlobalAvgPool2D GlobalMaxPool2D "
    "GlobalMaxPooling2D MaxPool2D MaxPooling2D "
    # shapes
    "CenterCrop Cropping2D Flatten Permute RepeatVector Reshape Resizing UpSampling2D ZeroPadding2D "
    # what acts in training alone
    "ActivityRegularization AlphaDropout Dropout GaussianDropout GaussianNoise SpatialDropout2D RandomBrightness "
    "RandomContrast RandomCrop RandomFlip RandomRotation RandomTranslation RandomZoom "
    # tf.* functions that stand between layers; which ones, see FUNCTIONS
    "TFOpLambda SlicingOpLambda".split()
)
ACTIVATIONS = frozenset(
    "elu exponential gelu hard_sigmoid leaky_relu linear mish relu relu6 selu sigmoid silu softmax softplus "
    "softsign swish tanh".split()
)
FUNCTIONS = frozenset(
    "__operators__.add __operators__.getitem cast clip_by_value concat expand_dims image.resize math.abs math.add "
    "math.divide math.maximum math.minimum math.multiply math.negative math.reduce_max math.reduce_mean "
    "math.reduce_min math.reduce_sum math.rsqrt math.sigmoid math.sqrt math.square math.subtract math.tanh "
    "math.truediv nn.avg_pool nn.bias_add nn.elu nn.leaky_relu nn.max_pool nn.relu nn.relu6 nn.sigmoid nn.silu "
    "nn.softmax nn.tanh pad reshape split squeeze stack transpose unstack".split()
)
"""Functions of TensorFlow that only compute: none reads or writes a file, prints, or calls Python."""
PARTS = frozenset(
    # initialisers
    "Constant GlorotNormal GlorotUniform HeNormal HeUniform Identity LecunNormal LecunUniform Ones Orthogonal "
    "RandomNormal RandomUniform TruncatedNormal VarianceScaling Zeros "
    # regularisers and constraints
    "L1 L1L2 L2 OrthogonalRegularizer MaxNorm MinMaxNorm NonNeg RadialConstraint UnitNorm "
    # number formats and shapes
    "Policy TensorShape __tuple__".split()
)
FUNCTION_PARTS = ("function", "__lambda__")
MAX_NUMBER = 10**7
"""Beyond it no size of a layer is meant; it would only fill the memory."""
WAY_ROUND = "or add --trust-model-code if you trust who made the file"


def checked_config(config: Any, name: str) -> Any:
    """`config` without what compiles and trains, every layer in it known; `name` is the file's, for errors.

    What it returns is what may be built: nothing else of the file's own text goes on.

    Raises:
        InputError: it names a Lambda, a layer or object that is not tf-keras's own, a function, or a size that fills
            the memory.
    """
    if isinstance(config, list):
        return [checked_config(part, name) for part in config]
    if isinstance(config, int) and abs(config) > MAX_NUMBER:
        raise InputError(f"{name} asks for a layer of size {config!s:.20}, expected at most {MAX_NUMBER:.0e}")
    if not isinstance(config, dict):
        return config
    if "class_name" in config:
        _check_class(config, name)
    return {
        key: _activation(value, name) if key.endswith("activation") else checked_config(value, name)
        for key, value in config.items()
        if key not in {"compile_config", "training_config"}
    }


def _check_class(config: dict[str, Any], name: str) -> None:
    kind = config["class_name"]
    if kind == "Lambda":
        raise InputError(
            f"{name} has a Lambda layer, which carries code; replace it by layers of tf-keras, {WAY_ROUND}"
        )
    if kind in FUNCTION_PARTS:
        raise InputError(
            f"{name} refers to the function {config.get('config')!r:.60}; replace it by layers of tf-keras, {WAY_ROUND}"
        )
    if not isinstance(kind, str) or kind not in LAYERS | PARTS:
        raise InputError(f"{name} has {kind!r:.60}, which is no known layer of tf-keras; replace it, {WAY_ROUND}")
    module, registered = config.get("module"), config.get("registered_name")
    own = module is None or (isinstance(module, str) and module.split(".")[0] in {"keras", "tf_keras"})
    if not own or registered not in (None, kind):
        raise InputError(
            f"{name} has {kind} of {module or registered!r:.60}, expected tf-keras's own; replace it, {WAY_ROUND}"
        )
    inner = config.get("config")
    if kind.endswith("OpLambda"):
        function = inner.get("function") if isinstance(inner, dict) else None
        if function not in FUNCTIONS:
            raise InputError(f"{name} calls tf.{function!s:.60}; replace it by layers of tf-keras, {WAY_ROUND}")


def _activation(value: Any, name: str) -> Any:
    """An activation by its name, or as a layer."""
    if isinstance(value, dict) and value.get("class_name") == "function":
        value = value.get("config")  # as Keras writes its own functions
        value = value if isinstance(value, str) else repr(value)
    if isinstance(value, str) and value not in ACTIVATIONS:
        raise InputError(
            f"{name} has the activation {value[:60]!r}, which is not tf-keras's own; replace it, {WAY_ROUND}"
        )
    return checked_config(value, name)
