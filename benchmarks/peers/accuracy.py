"""How far off a peer's points are, and what is left of that without its habit.

A peer that puts, say, a brow's end always a little higher than our labels do is not wrong: it was trained on another
mark-up. Its habit is one constant offset a point in the face's own frame (the crop that the peer's points themselves
ask for, so that no label is needed to take it off), fitted on faces of val and taken off on test.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matching import own_crop
from numpy.typing import NDArray

from fkp_edge.core.keypoints import FKP15, Points
from fkp_edge.evaluation.metrics import FAILURE, bootstrap_interval, face_nme

Floats = NDArray[np.float64]
Faces = NDArray[np.floating]
"""(N, 15, 2), NaN where a face was missed."""


def found(points: Faces) -> NDArray[np.bool_]:
    """Which faces (N,) were not missed."""
    return np.asarray(np.isfinite(points[:, 0, 0]))


def fit_offsets(predicted: Faces, true: Faces) -> Floats:
    """What is to be added to a peer's points, (15, 2) in crop units: medians, which a few failures do not move."""
    seen = found(predicted)
    shifts = [
        own_crop(points).to_units(truth) - own_crop(points).to_units(points)
        for points, truth in zip(predicted[seen], true[seen], strict=True)
    ]
    return np.asarray(np.median(shifts, axis=0), np.float64)


def without_habit(predicted: Faces, offsets: Floats) -> Faces:
    """`predicted` moved by a peer's offsets."""
    moved = np.array(predicted, np.float32)
    for index in np.flatnonzero(found(predicted)).tolist():
        moved[index] = _moved(moved[index], offsets)
    return moved


def _moved(points: Points, offsets: Floats) -> Points:
    crop = own_crop(points)
    return crop.to_frame(crop.to_units(points) + offsets)


def figures(errors: Floats, subject: NDArray[np.integer]) -> dict[str, Any]:
    """NME of faces (N,), NaN where missed: the mean over those found with its interval, and the share that failed.

    `subject` (N,) says whose face it is: intervals draw people.
    """
    used = errors[np.isfinite(errors)]
    low, high = bootstrap_interval(used, subject[np.isfinite(errors)])
    return {
        "faces": len(used),
        "nme_percent": percent(float(used.mean())),
        "nme_interval_percent": [percent(low), percent(high)],
        "failures_percent": percent(float(np.mean(used > FAILURE))),
    }


def percent(share: float) -> float:
    """Rounded for the record."""
    return round(100 * share, 3)


def compare(
    points: Mapping[str, Faces],
    offsets: Mapping[str, Floats],
    true: Faces,
    base: str,
    subject: NDArray[np.integer] | None = None,
) -> dict[str, Any]:
    """A row a peer: its error as it is and without its habit, on the faces it found, on those all found, beside `base`.

    Args:
        points: each peer's, of the same faces.
        offsets: each peer's habit.
        true: the labels.
        base: the peer that the others are compared with, face by face.
        subject: whose face each is; each its own where None.
    """
    whose = np.arange(len(true)) if subject is None else subject
    raw = {name: face_nme(faces, true, FKP15) for name, faces in points.items()}
    freed = {name: face_nme(without_habit(faces, offsets[name]), true, FKP15) for name, faces in points.items()}
    everywhere = np.logical_and.reduce([found(faces) for faces in points.values()])
    return {
        name: {
            "found": int(found(points[name]).sum()),
            "raw": figures(raw[name], whose),
            "without_habit": figures(freed[name], whose),
            "where_all_found": {
                "raw": figures(raw[name][everywhere], whose[everywhere]),
                "without_habit": figures(freed[name][everywhere], whose[everywhere]),
            },
            "beside_base": {
                "as_they_are": beside(raw[name], raw[base], whose),
                "theirs_without_habit": beside(freed[name], raw[base], whose),
                "both_without_habit": beside(freed[name], freed[base], whose),
            },
        }
        for name in points
    }


def beside(theirs: Floats, ours: Floats, subject: NDArray[np.integer] | None = None) -> dict[str, Any]:
    """NMEs on the faces that both found, and the interval of the mean difference, ours less theirs."""
    both = np.isfinite(theirs) & np.isfinite(ours)
    low, high = bootstrap_interval(ours[both] - theirs[both], None if subject is None else subject[both])
    return {
        "faces": int(both.sum()),
        "theirs_percent": percent(float(theirs[both].mean())),
        "ours_percent": percent(float(ours[both].mean())),
        "difference_interval_percent": [percent(low), percent(high)],
    }
