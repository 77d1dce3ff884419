"""Recall of proposals counts labelled faces among the first so many, and leaves unannotated ones out."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from fkp_edge.core.geometry import Crop, box_around
from fkp_edge.evaluation.evaluate import LabelledPhotograph, hits, recall

FACE, OTHER, STRANGER = Crop(50, 50, 20), Crop(150, 50, 30), Crop(250, 50, 30)
PHOTOGRAPH = LabelledPhotograph(
    np.zeros((100, 300), np.uint8), (box_around(FACE), box_around(OTHER)), (box_around(STRANGER),)
)


def proposing(*crops: Crop) -> Callable[[np.ndarray, int], list[Crop]]:
    return lambda _, most: list(crops)[:most]


def test_a_face_is_hit_by_a_proposal_that_overlaps_it() -> None:
    assert hits(PHOTOGRAPH, proposing(Crop(52, 50, 22))) == [True, False]


def test_only_the_first_proposals_count() -> None:
    wall = Crop(200, 90, 10)
    assert hits(PHOTOGRAPH, proposing(wall, FACE), most=1) == [False, False]
    assert hits(PHOTOGRAPH, proposing(wall, FACE), most=2) == [True, False]


def test_a_face_that_nobody_annotated_takes_no_place() -> None:
    assert hits(PHOTOGRAPH, proposing(STRANGER, FACE), most=1) == [True, False]


def test_recall_is_a_share_of_all_faces() -> None:
    empty = LabelledPhotograph(np.zeros((9, 9), np.uint8), (), ())
    assert recall([PHOTOGRAPH, empty], proposing(FACE)) == 0.5
    assert recall([], proposing(FACE)) == 0.0
