"""Pictures to compose from: photographs and chips with the crops of their faces."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop, crop_from_box, crop_from_labels, crop_from_track, extract
from fkp_edge.core.keypoints import IBUG68, Points, Schema
from fkp_edge.data import Scene, find_pictures, read_picture
from fkp_edge.evaluation.groups import held_out
from fkp_edge.model.interpreter import KeypointModel

__all__ = ["Source", "face_crop", "look_for_face", "read_chips", "read_photographs"]

LOOKS = 4
DOUBTFUL = 0.02
"""Score below which there is no sense in looking on."""
FILLS = 0.6
"""Share of a chip from which its face leaves no room for somebody else's."""
SURE = 0.9
"""Score of the keypoint network from which its points are taken for a label."""

Grey = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Source:
    """A picture and its faces."""

    levels: tuple[Grey, ...]
    """The picture (H, W), then halved and halved again: what is drawn smaller is taken from the smaller one."""
    faces: tuple[Crop, ...]
    """Crops of the faces, picture pixels."""
    ignore: tuple[Crop, ...]
    """Squares around what is a face but cannot be labelled."""
    known: bool = True
    """Whether nobody else is in the picture, as far as two detectors can say: who is not named counts as no face."""


def make_source(picture: Grey, faces: Iterable[Crop], ignore: Iterable[Crop] = (), *, known: bool = True) -> Source:
    """A source with its reduced copies."""
    levels = [picture]
    while min(levels[-1].shape) >= 24:
        levels.append(_halved(levels[-1]))
    return Source(tuple(levels), tuple(faces), tuple(ignore), known)


def _halved(picture: Grey) -> Grey:
    height, width = picture.shape
    even = picture[: height // 2 * 2, : width // 2 * 2]
    return np.asarray(cv2.resize(even, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8)


def face_crop(points: Points, schema: Schema) -> Crop:
    """The crop of labelled points (K, 2), turned with the face and framed as `crop_from_labels` frames upright ones."""
    roll = crop_from_track(points, schema.mean_shape).roll
    turn = complex(math.cos(roll), -math.sin(roll))
    middle = points.mean(0, dtype=np.float64)
    flat = points.astype(np.float64) - middle
    turned = np.stack(
        [flat[:, 0] * turn.real - flat[:, 1] * turn.imag, flat[:, 0] * turn.imag + flat[:, 1] * turn.real], 1
    )
    upright = crop_from_labels(turned, schema)
    back = complex(upright.x, upright.y) * turn.conjugate()
    return Crop(back.real + float(middle[0]), back.imag + float(middle[1]), upright.side, roll)


def look_for_face(model: KeypointModel, picture: Grey, starts: Iterable[Crop]) -> Crop | None:
    """The crop of the first face that `model` is sure of, looking from each of `starts` in `picture`."""
    for crop in starts:
        for look in range(LOOKS):
            units, score = model.predict(extract(picture, crop))
            points = crop.to_frame(units)
            crop = crop_from_track(points, model.schema.mean_shape)
            if score < DOUBTFUL or not 4 < crop.side < 4 * max(picture.shape):
                break
            if look and score >= SURE:
                return face_crop(points, model.schema)
    return None


def read_photographs(scenes: Iterable[Scene], model: KeypointModel) -> list[Source]:
    """Photographs with their annotated faces, and those nobody annotated where `model` is sure of their points."""
    sources = []
    for scene in scenes:
        picture = read_picture(scene.path)
        faces = [face_crop(points, IBUG68) for points in scene.faces]
        ignore: list[Crop] = []
        for box in scene.ignore:
            square = crop_from_box(box)
            found = look_for_face(model, picture, [square])
            near = found and math.hypot(found.x - square.x, found.y - square.y) < 0.4 * square.side
            (faces if found and near else ignore).append(found if found and near else square)
        sources.append(make_source(picture, faces, ignore))
    return sources


def read_chips(folder: Path, model: KeypointModel, *, keep_out: int = 0) -> list[Source]:
    """Pictures with one face that nearly fills them, or lies in their middle; those `model` is sure of.

    Args:
        folder: of pictures.
        model: finds the points.
        keep_out: one picture in so many, by a hash of its name, is left for testing; none where 0.
    """
    sources = []
    for path in find_pictures(folder):
        if keep_out and held_out(path.name, keep_out):
            continue
        picture = read_picture(path)
        height, width = picture.shape
        shares = (0.45, 0.7, 0.9) if min(height, width) > 200 else (0.75, 0.6, 0.95)  # PLACEHOLDER
        starts = [Crop((width - 1) / 2, (height - 1) / 2, share * min(height, width)) for share in shares]
        if found := look_for_face(model, picture, starts):
            sources.append(make_source(picture, [found], known=found.side > FILLS * min(height, width)))
    return sources
