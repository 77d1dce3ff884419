"""Devices that share a training step: GPUs, or a processor's cores as one logical device each."""

from __future__ import annotations

from fkp_edge.errors import InputError
from fkp_edge.train.backend import tf

__all__ = ["strategy_for"]


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
