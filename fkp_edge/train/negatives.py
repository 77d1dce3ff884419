"""Crops that hold no well-framed face: what Haar proposes wrongly, walls and trees, faces framed badly."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import (
    Box,
    Crop,
    Jitter,
    box_around,
    crop_from_box,
    crop_from_labels,
    extract,
    iou,
    jittered,
)
from fkp_edge.core.keypoints import IBUG68
from fkp_edge.data import FaceSet, Scene, read_picture
from fkp_edge.evaluation.evaluate import Propose
from fkp_edge.train.proposals import proposals_on

__all__ = ["Negatives", "mine_negatives"]

NEAR = 0.25
"""A box that overlaps a face less (intersection over union) does not frame it."""
HALF = 0.1
"""Half of the badly framed faces overlap at least so much: half faces are what Haar gets wrong."""
FALSE_BOX_JITTER = Jitter(shift=0.06, scale=0.12, roll=8.0)


@dataclass(frozen=True, eq=False)
class Negatives:
    """Where negatives are drawn from."""

    pictures: list[NDArray[np.uint8]]
    """Photographs, grey."""
    faces: list[list[Box]]
    """Of each photograph: boxes of its faces, annotated or not."""
    false_boxes: list[tuple[int, Box]]
    """Photograph and box of each wrong proposal."""

    def draw(self, faces: FaceSet, rng: np.random.Generator) -> NDArray[np.uint8]:
        """One crop (96, 96): 45 % wrong proposals, 25 % background, 30 % badly framed faces of `faces`."""
        kind = rng.random()
        if kind < 0.45 and self.false_boxes:
            which, box = self.false_boxes[rng.integers(len(self.false_boxes))]
            crop = jittered(crop_from_box(box), FALSE_BOX_JITTER, rng)
            pixels = extract(self.pictures[which], crop)
        elif kind < 0.70 and self.pictures:
            pixels = self._background(rng)
        else:
            index = int(rng.integers(len(faces)))
            pixels = extract(faces.images[index], _badly_framed(faces.crop(index), rng))
        return pixels if rng.random() < 0.5 else np.ascontiguousarray(pixels[:, ::-1])

    def _background(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        which = int(rng.integers(len(self.pictures)))
        picture = self.pictures[which]
        height, width = picture.shape
        while True:
            side = math.exp(rng.uniform(math.log(24), math.log(min(height, width))))
            crop = Crop(rng.uniform(0, width), rng.uniform(0, height), side, math.radians(rng.normal(0, 15)))
            if all(iou(box_around(crop), face) < NEAR for face in self.faces[which]):
                return extract(picture, crop)


def _badly_framed(crop: Crop, rng: np.random.Generator) -> Crop:
    """`crop` of a face moved, scaled or turned until it frames the face no more."""
    if rng.random() < 0.25:
        return Crop(crop.x, crop.y, crop.side, math.radians(rng.uniform(65, 295)))
    least = HALF if rng.random() < 0.5 else 0.0
    while True:
        dx, dy = rng.uniform(-1, 1, 2) * crop.side
        moved = Crop(crop.x + dx, crop.y + dy, crop.side * math.exp(rng.uniform(-1.1, 0.9)), rng.normal(0, 0.2))
        if least <= iou(box_around(moved), box_around(crop)) < NEAR:
            return moved


def mine_negatives(scenes: list[Scene], propose: Propose) -> Negatives:
    """The photographs of `scenes` with what `propose` finds in them that is no face."""
    pictures = [read_picture(scene.path) for scene in scenes]
    faces = [_face_boxes(scene) for scene in scenes]
    false_boxes = [
        (index, box)
        for index, boxes in enumerate(proposals_on(pictures, propose, "photographs"))
        for box in boxes
        if all(iou(box, face) < NEAR for face in faces[index])
    ]
    return Negatives(pictures, faces, false_boxes)


def _face_boxes(scene: Scene) -> list[Box]:
    return [box_around(crop_from_labels(face, IBUG68)) for face in scene.faces] + list(scene.ignore)
