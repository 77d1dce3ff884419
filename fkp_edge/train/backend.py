"""TensorFlow with Keras 2 (`tf-keras`): tensorflow-model-optimization rejects Keras 3. Set here and nowhere else."""

from __future__ import annotations

import os

from fkp_edge.errors import InputError, MissingPartError

__all__ = ["h5py", "keras", "strategy_for", "tf"]

os.environ["TF_USE_LEGACY_KERAS"] = "1"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # errors of a GPU that is not there, too


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


def strategy_for(replicas: int) -> tf.distribute.Strategy:
    """Where a run's steps are made: TensorFlow's default for one, else `MirroredStrategy` over `replicas` devices.

    Without a GPU these are logical CPU devices. TensorFlow fixes its devices when it first works, so this comes first.

    Raises:
        InputError: there are fewer GPUs, or TensorFlow has already fixed other devices.
    """
    if replicas == 1:
        return tf.distribute.get_strategy()
    gpus = tf.config.list_physical_devices("GPU")
    if gpus and len(gpus) < replicas:
        raise InputError(
            f"the recipe asks for fit.replicas = {replicas}, this machine has {len(gpus)} GPU(s): set it to that"
        )
    if not gpus:
        _split_processor(replicas)
    kind = "GPU" if gpus else "CPU"
    # one process: NCCL exists for GPUs only, and a copy to one device is as good for a network this small
    return tf.distribute.MirroredStrategy(
        [f"{kind}:{i}" for i in range(replicas)], cross_device_ops=tf.distribute.ReductionToOneDevice()
    )


def _split_processor(parts: int) -> None:
    processor = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(parts)
        tf.config.set_logical_device_configuration(processor, [tf.config.LogicalDeviceConfiguration()] * parts)
    except RuntimeError as error:
        if len(tf.config.list_logical_devices("CPU")) != parts:
            raise InputError(
                f"fit.replicas = {parts} needs a fresh process: TensorFlow already works with other devices"
            ) from error
