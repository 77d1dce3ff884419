"""What converting needs beyond training: tensorflow-model-optimization, and TensorFlow's own freezing."""

from __future__ import annotations

from fkp_edge.errors import MissingPartError

try:
    from fkp_edge.train.backend import keras as _keras  # noqa: F401, I001 - first: it chooses Keras 2, which tfmot wants
    import tensorflow_model_optimization as tfmot
except ImportError as error:
    missing = error.__cause__ or error  # what training lacks, without training's remedy
    raise MissingPartError(
        f"converting needs more than the device part ({missing}); pip install 'fkp-edge[convert]', "
        "or in a clone: pip install -e '.[convert]'"
    ) from error

# not in TensorFlow's public names, but what its own converter and its documentation of frozen graphs use
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel as SavedModelProto
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2 as freeze

__all__ = ["SavedModelProto", "freeze", "tfmot"]
