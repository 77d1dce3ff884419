"""Model files by name or path, opened for use."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import TypeAlias

from fkp_edge.model.edgetpu import Accelerator
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import find_model

__all__ = ["ModelLike", "load"]

ModelLike: TypeAlias = str | PathLike[str] | KeypointModel
"""The name of a shipped model, a path, or what `load` gave."""


def load(
    model: ModelLike = "keypoints-int8",
    *,
    threads: int = 1,
    accelerator: Accelerator = "cpu",
    card_required: bool = True,
) -> KeypointModel:
    """A model file, checked and ready to run; give it to several calls to open it once. For one thread at a time.

    Args:
        model: the name of a shipped one (keypoints-int8, keypoints-small-int8, keypoints68-int8, keypoints-float32,
            keypoints68-float32) or the path of a .tflite file. What is loaded already is returned as it is.
        threads: CPU threads of the network.
        accelerator: `cpu`, or `edgetpu` for a file compiled for a Coral device.
        card_required: False accepts a .tflite file without a card, such as a network of your own.

    Raises:
        ModelFileError: the file is missing, damaged, or no keypoint network.
        MissingPartError: the TFLite runtime is not installed.
        AcceleratorError: the Edge TPU is absent or does not work.

    >>> import fkp_edge as fkp
    >>> model = fkp.load("keypoints68-int8")
    >>> model.schema.size, model.has_score
    (68, True)
    """
    if isinstance(model, KeypointModel):
        return model
    path = find_model(model) if isinstance(model, str) else Path(model)
    return open_model(path, threads=threads, card_required=card_required, accelerator=accelerator)
