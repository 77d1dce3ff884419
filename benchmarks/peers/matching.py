"""Which reported face is which labelled one, and what box a detector would have given a labelled face."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from mapping import to_fkp15
from numpy.typing import NDArray

from fkp_edge.core.geometry import Box, Crop, box_around, crop_from_labels, crop_from_track, iou
from fkp_edge.core.keypoints import FKP15, Points
from fkp_edge.evaluation.evaluate import MATCH, judge_boxes

Usual = tuple[float, float, float]
"""A detector's framing: its box's middle x, y and its side, in the crop that the labels ask for."""


def own_crop(points: Points) -> Crop:
    """The crop that `points` (15, 2) themselves ask for: the face's own frame."""
    return crop_from_track(points, FKP15.mean_shape)


def labelled_box(points: Points) -> Box:
    """The box of a labelled face."""
    return box_around(crop_from_labels(points, FKP15))


def match(reported: Sequence[Points], labelled: Sequence[Points]) -> list[int | None]:
    """For each labelled face the reported one whose box overlaps its own most, from MATCH on; each taken once."""
    theirs = [box_around(own_crop(points)) for points in reported]
    ours = [labelled_box(points) for points in labelled]
    pairs = sorted(((iou(a, b), i, j) for i, a in enumerate(ours) for j, b in enumerate(theirs)), reverse=True)
    chosen: list[int | None] = [None] * len(labelled)
    for overlap, face, report in pairs:
        if overlap >= MATCH and chosen[face] is None and report not in chosen:
            chosen[face] = report
    return chosen


def faces_by_picture(found: dict[str, NDArray[Any]], pictures: int) -> list[list[Points]]:
    """What a worker found as our 15 points, picture by picture."""
    faces: list[list[Points]] = [[] for _ in range(pictures)]
    for picture, points in zip(found["picture"].tolist(), found["points"], strict=True):
        faces[picture].append(to_fkp15(points))
    return faces


def points_of_labelled(faces: Sequence[Sequence[Points]], labelled: Sequence[Sequence[Points]]) -> NDArray[np.float32]:
    """For each labelled face of each picture the reported points (N, 15, 2); NaN where it was missed."""
    nothing = np.full((FKP15.size, 2), np.nan, np.float32)
    return np.stack(
        [
            nothing if report is None else reported[report]
            for reported, known in zip(faces, labelled, strict=True)
            for report in match(reported, known)
        ]
    )


def false_faces(
    faces: Sequence[Sequence[Points]], labelled: Sequence[Sequence[Points]], ignore: Sequence[Sequence[Box]]
) -> int:
    """Reported faces whose box overlaps no labelled one, nor a box of `ignore`."""
    count = 0
    for reported, known, other in zip(faces, labelled, ignore, strict=True):
        boxes = [box_around(own_crop(points)) for points in reported]
        count += sum(not is_face for _, is_face in judge_boxes(boxes, [labelled_box(p) for p in known], other))
    return count


def usual_framing(detected: Sequence[Box], labelled: Sequence[Points]) -> Usual:
    """How a detector frames faces, from its boxes of labelled ones: medians."""
    rows = []
    for (x, y, width, height), points in zip(detected, labelled, strict=True):
        crop = crop_from_labels(points, FKP15)
        middle = crop.to_units(np.array([[x + (width - 1) / 2, y + (height - 1) / 2]]))[0]
        rows.append((*middle.tolist(), math.sqrt(width * height) / crop.side))
    x, y, side = np.median(rows, axis=0).tolist()
    return x, y, side


def framed(usual: Usual, points: Points) -> Box:
    """The box in which that detector would see the face labelled by `points`: what its predictor was trained with."""
    crop = crop_from_labels(points, FKP15)
    x, y = crop.to_frame(np.array([usual[:2]]))[0].tolist()
    return box_around(Crop(x, y, usual[2] * crop.side))
