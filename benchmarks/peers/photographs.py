"""Every peer on the same labelled photographs: with its own detector, and in given boxes where it takes them."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from accuracy import Floats, compare, fit_offsets
from environments import Worker
from matching import (
    Usual,
    faces_by_picture,
    false_faces,
    framed,
    labelled_box,
    match,
    points_of_labelled,
    usual_framing,
)
from material import CHIPS, SCENES, Photographs
from videos import Found, read

from fkp_edge.core.geometry import Box
from fkp_edge.core.keypoints import Points

HAND = ("val/lfpw", "val/helen")
FITTED_ON = {"test/afw": HAND, "test/ytf": ("val/ytf",), SCENES: HAND}
"""Where a peer's habit is measured: on faces of val that were labelled as those of the test set were."""
SETTLED, LOOKS = "mediapipe_settled", 4
"""Face Mesh as it tracks a face that keeps still: from the second look on it frames the face by its own points, which
in one look at its detector's box it cannot. Our search of photographs looks up to four times, too."""
IN_BOXES = ("int8", "float32", "dlib")
"""Peers that take a box instead of searching."""
BASE = "int8"
Sets = Mapping[str, Photographs]
Looks = Mapping[str, Mapping[str, Found]]
"""Peer -> set -> what it found there."""


def measure(workers: Mapping[str, Worker], sets: Sets, work: Path) -> dict[str, Any]:
    """The record: a row a peer and test set."""
    every = (*CHIPS, SCENES)
    own = {name: {s: look(worker, sets[s], work) for s in every} for name, worker in workers.items()}
    own[SETTLED] = {s: look(workers["mediapipe"], sets[s], work, {"looks": LOOKS}) for s in every}
    boxed = {name: {s: look_in_boxes(workers[name], s, sets, own, work) for s in CHIPS} for name in IN_BOXES}
    record: dict[str, Any] = {"offsets_fitted_on": FITTED_ON, "own_detector": {}, "given_boxes": {}}
    for test in FITTED_ON:
        faces = len(labels(sets[test]))
        record["own_detector"][test] = {"faces": faces, "peers": rows(own, sets, test)}
        for name, row in record["own_detector"][test]["peers"].items():
            row["cpu_ms_a_picture"] = round(float(np.median(own[name][test]["cpu_ns"])) / 1e6, 2)
            if test == SCENES:  # in the other sets others stand beside the labelled face
                row["false_faces"] = false_of(own[name][test], sets[test])
        if test in CHIPS:
            record["given_boxes"][test] = {"faces": faces, "peers": rows(boxed, sets, test)}
    return record


def look(worker: Worker, photographs: Photographs, work: Path, more: Mapping[str, Any] | None = None) -> Found:
    """What `worker` finds in each picture; `more` is added to its job."""
    print(f"{photographs.name}: {worker.peer.title}", file=sys.stderr, flush=True)
    return read(worker.do(photographs.job() | {"out": str(work / "found.npz")} | dict(more or {})))


def look_in_boxes(worker: Worker, chips: str, sets: Sets, own: Looks, work: Path) -> Found:
    """What it finds in the box of the labelled face, given what all found by themselves."""
    np.save(work / "boxes.npy", np.array(boxes_for(worker.peer.name, chips, sets, own), np.float64))
    return look(worker, sets[chips], work, {"boxes": str(work / "boxes.npy")})


def rows(looks: Looks, sets: Sets, test: str) -> dict[str, Any]:
    """The comparison on one test set."""
    points = {name: points_of(found[test], sets[test]) for name, found in looks.items()}
    offsets = {name: habit(found, sets, FITTED_ON[test]) for name, found in looks.items()}
    people = sets[test].people
    return compare(points, offsets, labels(sets[test]), BASE, np.array(people) if people else None)


def labels(photographs: Photographs) -> Any:
    """All labelled faces (N, 15, 2)."""
    return np.stack([face for faces in photographs.faces for face in faces])


def points_of(found: Found, photographs: Photographs) -> Any:
    """What was found of each of them (N, 15, 2)."""
    return points_of_labelled(faces_by_picture(found, len(photographs.faces)), photographs.faces)


def habit(found: Mapping[str, Found], sets: Sets, fitted_on: Iterable[str]) -> Floats:
    """A peer's offsets from the labels of some sets together."""
    names = list(fitted_on)
    predicted = np.concatenate([points_of(found[name], sets[name]) for name in names])
    return fit_offsets(predicted, np.concatenate([labels(sets[name]) for name in names]))


def false_of(found: Found, photographs: Photographs) -> int:
    """Reported faces where there is none."""
    faces = faces_by_picture(found, len(photographs.faces))
    return false_faces(faces, photographs.faces, photographs.ignore)


def boxes_for(name: str, chips: str, sets: Sets, own: Looks) -> list[Box]:
    """The labelled face's box in each chip: as the labels ask for it, for dlib as its detector frames faces on val."""
    faces = [faces[0] for faces in sets[chips].faces]
    if name != "dlib":
        return [labelled_box(points) for points in faces]
    usual = framing(own[name], sets, FITTED_ON["test/ytf"] if chips.endswith("ytf") else HAND)
    return [framed(usual, points) for points in faces]


def framing(found: Mapping[str, Found], sets: Sets, names: Iterable[str]) -> Usual:
    """How a detector frames the labelled faces of some sets."""
    pairs: list[tuple[Box, Points]] = []
    for name in names:
        faces = faces_by_picture(found[name], len(sets[name].faces))
        starts = np.searchsorted(found[name]["picture"], np.arange(len(faces)))
        for start, reported, labelled in zip(starts.tolist(), faces, sets[name].faces, strict=True):
            for points, report in zip(labelled, match(reported, labelled), strict=True):
                if report is not None:
                    pairs.append((tuple(found[name]["boxes"][start + report].tolist()), points))
    return usual_framing([box for box, _ in pairs], [points for _, points in pairs])
