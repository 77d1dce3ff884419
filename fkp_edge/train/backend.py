"""TensorFlow with Keras 2 (`tf-keras`): tensorflow-model-optimization rejects Keras 3. Set here and nowhere else."""

from __future__ import annotations

import os

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors of a GPU that is not there, too

from fkp_edge.errors import MissingPartError

try:
    import h5py
    import matplotlib as _matplotlib  # noqa: F401 - asked for here so that one message names all that is missing
    import sklearn as _sklearn  # noqa: F401
    import tensorflow as tf
    import tf_keras as keras
    import tqdm as _tqdm  # noqa: F401
except ImportError as error:
    raise MissingPartError(
        f"training needs more than the device part ({error}); pip install 'fkp-edge[train]', "
        "or in a clone: pip install -e '.[train]'"
    ) from error

__all__ = ["h5py", "keras", "tf"]
