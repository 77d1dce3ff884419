"""Faces in single pictures, in one call."""

from __future__ import annotations

import os
import threading
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.observation import Face as SeenFace
from fkp_edge.data.pictures import portrait
from fkp_edge.device.detection.search import Method
from fkp_edge.device.image_detector import ImageDetector, ImageSettings
from fkp_edge.device.tracking.pose import head_pose
from fkp_edge.errors import InputError
from fkp_edge.library.inputs import Colors, ModelLike, PictureLike, as_picture, load, to_grey
from fkp_edge.library.results import Face, Pose, Result, as_face
from fkp_edge.model.interpreter import KeypointModel
from fkp_edge.model.shipped import find_model

__all__ = ["demo_picture", "find"]


def find(
    picture: PictureLike,
    *,
    model: ModelLike = "keypoints-int8",
    max_faces: int | None = None,
    search: Method | None = None,
    colors: Colors = "bgr",
) -> Result:
    """The faces in one picture, the best score first. For frames of a camera or video `Tracker` is far quicker.

    The model stays open for the next call in the same thread.

    Args:
        picture: a path, the bytes of a picture file, or a uint8 array: (H, W) grey, (H, W, 3) or (H, W, 4).
        model: the name of a shipped model, the path of a .tflite file, or what `load` gave.
        max_faces: the best that many; all where None.
        search: what looks for faces: `finder`, a network; `haar`, OpenCV's cascade; `both`, which asks Haar where the
            finder found none. As `fkp-edge predict` does where None.
        colors: order of an array's channels, `bgr` as OpenCV has it or `rgb`; also that of what `draw` gives.

    Returns:
        A `Result`: iterate over its faces; `draw`, `save` and `to_dict` are its methods.

    Raises:
        InputError: the file or array is no picture.
        ModelFileError: the file is no model.

    >>> import fkp_edge as fkp
    >>> for face in fkp.find(fkp.demo_picture()):
    ...     print(face.score > 0.9, face["nose_tip"].shape, abs(face.pose.roll) < 30)
    True (2,) True
    """
    if max_faces is not None and (not isinstance(max_faces, int) or max_faces < 1):
        raise InputError(f"max_faces={max_faces!r} cannot be used; expected a whole number of 1 or more, or None")
    pixels = as_picture(picture, colors)
    network, finder = _finder_for(model, _settings(search))
    seen = finder.find(to_grey(pixels, colors))[:max_faces]
    return Result(tuple(_posed(face, network) for face in seen), pixels, network.schema, colors)


def demo_picture() -> NDArray[np.uint8]:
    """The bundled portrait: a picture with one face, in the public domain, to try things on.

    Returns:
        (512, 512, 3) uint8, BGR.

    >>> import fkp_edge as fkp
    >>> fkp.demo_picture().shape
    (512, 512, 3)
    """
    return portrait()


def _posed(seen: SeenFace, network: KeypointModel) -> Face:
    face = as_face(seen, network.schema)
    pose = head_pose(face.points, network.schema)
    return face if pose is None else Face(face.id, face.score, face.box, face.points, Pose(*pose), False, face.schema)


_opened = threading.local()
"""The model that a thread used last, and its finder: neither is for two threads at once."""


def _settings(search: Method | None) -> ImageSettings:
    if search is None:
        return ImageSettings()
    if search not in get_args(Method):
        raise InputError(f"search={search!r} is not known; expected one of {', '.join(get_args(Method))}, or None")
    return ImageSettings(method=search)


def _finder_for(model: ModelLike, settings: ImageSettings) -> tuple[KeypointModel, ImageDetector]:
    key = (settings, model if isinstance(model, KeypointModel) else _stamp(model))
    kept: tuple[Any, KeypointModel, ImageDetector] | None = getattr(_opened, "last", None)
    if kept is None or kept[0] != key:
        network = load(model)
        _opened.last = kept = (key, network, ImageDetector(network, settings))
    return kept[1], kept[2]


def _stamp(model: str | os.PathLike[str]) -> tuple[str, int, int] | None:
    """What changes when another file takes the place of `model`; None where there is none, and `load` says so."""
    path = find_model(os.fspath(model))
    try:
        status = path.stat()
    except OSError:
        return None
    return str(path.absolute()), status.st_mtime_ns, status.st_size
