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

from fkp_edge.geometry import Box
from fkp_edge.keypoints import Points

HAND = ("val/lfpw", "val/helen")
FITTED_ON = {"test/afw": HAND, "test/ytf": ("val/ytf",), SCENES: HAND}
"""Where a peer's habit is measured: on faces of val that were labelled as those of the test set were."""
IN_BOXES = ("int8", "float32", "dlib")
"""Peers that take a box instead of searching."""
BASE = "int8"
Sets = Mapping[str, Photographs]
Looks = Mapping[str, Mapping[str, Found]]
"""Peer -> set -> what it found there."""


def measure(workers: Mapping[str, Worker], sets: Sets, work: Path) -> dict[str, Any]:
    """The record: a row a peer and test set."""
    own = {name: {s: look(worker, sets[s], work) for s in (*CHIPS, SCENES)} for name, worker in workers.items()}
    boxed = {
        name: {s: look(workers[name], sets[s], work, boxes_for(name, s, sets, own)) for s in CHIPS} for name in IN_BOXES
    }
    record: dict[str, Any] = {"offsets_fitted_on": FITTED_ON, "own_detector": {}, "given_boxes": {}}
    for test in FITTED_ON:
        faces = len(labels(sets[test]))
        record["own_detector"][test] = {"faces": faces, "peers": rows(own, sets, test)}
        for name, row in record["own_detector"][test]["peers"].items():
            row |= costs(own[name][test], sets[test])
        if test in CHIPS:
            record["given_boxes"][test] = {"faces": faces, "peers": rows(boxed, sets, test)}
    return record


def look(worker: Worker, photographs: Photographs, work: Path, boxes: list[Box] | None = None) -> Found:
    """What `worker` finds in each picture, or in the box that it is given there."""
    job = photographs.job() | {"out": str(work / "found.npz")}
    if boxes is not None:
        np.save(work / "boxes.npy", np.array(boxes, np.float64))
        job |= {"boxes": str(work / "boxes.npy")}
    print(f"{photographs.name}: {worker.peer.title}", file=sys.stderr, flush=True)
    return read(worker.do(job))


def rows(looks: Looks, sets: Sets, test: str) -> dict[str, Any]:
    """The comparison on one test set."""
    points = {name: points_of(found[test], sets[test]) for name, found in looks.items()}
    offsets = {name: habit(found, sets, FITTED_ON[test]) for name, found in looks.items()}
    return compare(points, offsets, labels(sets[test]), BASE)


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


def costs(found: Found, photographs: Photographs) -> dict[str, Any]:
    """False faces, and how long a picture takes: one pass, on a core that nobody else was kept from."""
    faces = faces_by_picture(found, len(photographs.faces))
    return {
        "false_faces": false_faces(faces, photographs.faces, photographs.ignore),
        "cpu_ms_a_picture": round(float(np.median(found["cpu_ns"])) / 1e6, 2),
    }


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
