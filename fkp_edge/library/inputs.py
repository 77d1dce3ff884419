"""What users give: models by name or path, pictures as a path, coded bytes, or an array in BGR, RGB or grey."""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Any, Literal, TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.data.pictures import decode_bytes, read_picture
from fkp_edge.device.capture import LARGEST, SMALLEST
from fkp_edge.errors import InputError
from fkp_edge.model.edgetpu import Accelerator
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import find_model

__all__ = ["Colors", "ModelLike", "Picture", "PictureLike", "as_frame", "as_picture", "load", "to_bgr", "to_grey"]

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

    Returns:
        The model, for `find`, `Tracker`, `track`, or its own `predict`.

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


Colors: TypeAlias = Literal["bgr", "rgb"]
"""Order of an array's channels: OpenCV's, or that of Pillow, imageio, Matplotlib and picamera2's "BGR888"."""
Picture: TypeAlias = NDArray[np.uint8]
"""(H, W) grey, (H, W, 3) colours, or (H, W, 4) with an alpha channel, which is ignored."""
PictureLike: TypeAlias = str | PathLike[str] | bytes | Picture
"""A path, the bytes of a picture file, or a picture."""

ARRAY = "a uint8 array (H, W), or (H, W, 3) in BGR"
_GREY = {
    ("bgr", 3): cv2.COLOR_BGR2GRAY,
    ("rgb", 3): cv2.COLOR_RGB2GRAY,
    ("bgr", 4): cv2.COLOR_BGRA2GRAY,
    ("rgb", 4): cv2.COLOR_RGBA2GRAY,
}
_BGR = {
    ("bgr", 4): cv2.COLOR_BGRA2BGR,
    ("rgb", 3): cv2.COLOR_RGB2BGR,
    ("rgb", 4): cv2.COLOR_RGBA2BGR,
}


def as_picture(given: Any, colors: Colors) -> Picture:
    """What was given as a picture; files become BGR.

    Raises:
        InputError: it is no picture.
    """
    check_colors(colors)
    if isinstance(given, str | PathLike):
        return _in_order(read_picture(Path(given), color=True), colors)
    if isinstance(given, bytes | bytearray | memoryview):
        return _in_order(decode_bytes(bytes(given), f"the picture of {len(given)} bytes", color=True), colors)
    return _checked(given, "picture", f"a path, the bytes of a picture file, or {ARRAY}")


def as_frame(given: Any) -> Picture:
    """A frame of a camera or video, checked.

    Raises:
        InputError: it is no picture, or too small or large to follow faces in.
    """
    frame = _checked(given, "frame", ARRAY)
    height, width = frame.shape[:2]
    if min(height, width) < SMALLEST or max(height, width) > LARGEST:
        raise InputError(f"the frame has {width}x{height} pixels; expected sides of {SMALLEST} to {LARGEST}")
    return frame


def check_colors(colors: str) -> None:
    """Refuses what is no order of channels.

    Raises:
        InputError: see above.
    """
    if colors not in ("bgr", "rgb"):
        raise InputError(f"colors={colors!r} is not known; expected 'bgr', as OpenCV has it, or 'rgb'")


def to_grey(picture: Picture, colors: Colors) -> NDArray[np.uint8]:
    """`picture` as grey (H, W); itself where it is that already."""
    if picture.ndim == 2:
        return picture
    if picture.shape[2] == 1:
        return picture[:, :, 0]
    return cv2.cvtColor(picture, _GREY[colors, picture.shape[2]])  # type: ignore[return-value]


def to_bgr(picture: Picture, colors: Colors) -> NDArray[np.uint8]:
    """A copy of `picture` as BGR (H, W, 3)."""
    if picture.ndim == 2 or picture.shape[2] == 1:
        return cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)  # type: ignore[return-value]
    code = _BGR.get((colors, picture.shape[2]))
    return picture.copy() if code is None else cv2.cvtColor(picture, code)  # type: ignore[return-value]


def _in_order(bgr: Picture, colors: Colors) -> Picture:
    """A file's picture with its channels in the order that the caller works in."""
    return bgr if colors == "bgr" else np.ascontiguousarray(bgr[:, :, ::-1])


def _checked(given: Any, what: str, expected: str) -> Picture:
    if given is None:
        raise InputError(f"the {what} is None; expected {expected}: the camera or file gave no picture")
    if not isinstance(given, np.ndarray):
        hint = "; give numpy.asarray of it and colors='rgb'" if hasattr(given, "__array_interface__") else ""
        raise InputError(f"the {what} is of type {type(given).__name__}; expected {expected}{hint}")
    if given.dtype != np.uint8:
        hint = "; (x * 255).astype('uint8') makes one of 0 to 1" if given.dtype.kind == "f" else ""
        raise InputError(f"the {what} holds {given.dtype} pixels; expected {expected}{hint}")
    if given.ndim not in (2, 3) or (given.ndim == 3 and given.shape[2] not in (1, 3, 4)) or not given.size:
        raise InputError(f"the {what} has shape {given.shape}; expected {expected}")
    return given if given.flags.c_contiguous else np.ascontiguousarray(given)
