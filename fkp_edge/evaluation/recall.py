"""Recall of proposals: which labelled faces of photographs are among the first so many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Box, Crop, box_around, crop_from_labels, iou
from fkp_edge.core.keypoints import IBUG68
from fkp_edge.data import Scene, read_picture
from fkp_edge.evaluation.evaluate import MATCH

__all__ = ["PROPOSALS", "LabelledPhotograph", "ProposeCrops", "hits", "label_photographs", "recall"]

PROPOSALS = 5
"""Proposals a photograph that count: as many as the search verifies at once."""

ProposeCrops = Callable[[NDArray[np.uint8], int], Sequence[Crop]]
"""A grey picture (H, W) and a number -> at most so many crops, the best first."""


@dataclass(frozen=True, eq=False)
class LabelledPhotograph:
    """A photograph in memory with the boxes of its annotated faces."""

    picture: NDArray[np.uint8]
    """(H, W) grey."""
    faces: tuple[Box, ...]
    ignore: tuple[Box, ...]
    """Faces that nobody annotated: a proposal on one of them takes none of the places."""


def label_photographs(scenes: Iterable[Scene]) -> list[LabelledPhotograph]:
    """The photographs of `scenes` with their faces' boxes, as the keypoint network's crops frame them."""
    return [
        LabelledPhotograph(
            read_picture(scene.path),
            tuple(box_around(crop_from_labels(face, IBUG68)) for face in scene.faces),
            scene.ignore,
        )
        for scene in scenes
    ]


def hits(photograph: LabelledPhotograph, propose: ProposeCrops, *, most: int = PROPOSALS) -> list[bool]:
    """Of each annotated face, whether one of the first `most` proposals frames it."""
    crops = propose(photograph.picture, most + len(photograph.ignore))
    boxes = [box_around(crop) for crop in crops]
    others = [
        box
        for box in boxes
        if any(iou(box, face) >= MATCH for face in photograph.faces)
        or not any(iou(box, known) > MATCH for known in photograph.ignore)
    ]
    return [any(iou(box, face) >= MATCH for box in others[:most]) for face in photograph.faces]


def recall(photographs: Sequence[LabelledPhotograph], propose: ProposeCrops, *, most: int = PROPOSALS) -> float:
    """Share of the annotated faces that one of the first `most` proposals of their photograph frames; 0 of none."""
    found = [hit for photograph in photographs for hit in hits(photograph, propose, most=most)]
    return float(np.mean(found)) if found else 0.0
