"""Accuracy of a model file on labelled faces, and of its score on whole photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import (
    CROP_SIZE,
    Box,
    Crop,
    box_around,
    crop_from_box,
    crop_from_labels,
    crop_from_track,
    extract,
    iou,
    tracked_crop,
)
from fkp_edge.core.keypoints import IBUG68, Points, Schema, from_ibug68
from fkp_edge.data import FaceSet, Scene, read_picture
from fkp_edge.errors import InputError
from fkp_edge.evaluation.metrics import face_nme, roc_auc, summarise
from fkp_edge.model.interpreter import KeypointModel

__all__ = [
    "MATCH",
    "PROPOSALS",
    "CropKind",
    "Evaluation",
    "LabelledPhotograph",
    "Propose",
    "ProposeCrops",
    "evaluate",
    "evaluate_scenes",
    "hits",
    "judge_boxes",
    "label_photographs",
    "recall",
]

CropKind = Literal["gt", "haar", "jitter"]
Propose = Callable[[NDArray[np.uint8]], Sequence[Box]]
"""Boxes that a face detector proposes in a grey picture."""

MATCH = 0.3
"""Intersection over union from which a proposed box is that of a labelled face."""
FOUND = 0.15
"""NME up to which a reported face counts as the labelled one."""
LOOKS = 3
"""Looks after the first, each in the crop that the last one's points ask for, as tracking goes on."""
TRACK_POINT_ERROR = 0.03
"""Error of the points that a tracked crop comes from, standard deviation in eye distances."""


@dataclass(frozen=True, eq=False)
class Evaluation:
    """One model on one set of faces."""

    figures: dict[str, Any]
    """As `metrics.summarise`, plus `crops`, `missed`, the mean `score`, `tracked_nme_percent` after `LOOKS` more looks
    (not of ready crops) and, for other crops than the labels', `gt_nme_percent`: the same faces on those."""
    nme: NDArray[np.float64]
    """(N,) NME of each face, a fraction; NaN where Haar missed it or its eye corners are not labelled."""
    points: Points
    """(N, K, 2) predicted, picture pixels; NaN where Haar missed the face."""


def evaluate(
    model: KeypointModel, faces: FaceSet, *, crops: CropKind = "gt", propose: Propose | None = None, seed: int = 0
) -> Evaluation:
    """Runs `model` on the crop of each face; the points and errors are those of this one look, unless named otherwise.

    Args:
        model: speaks the schema of `faces`.
        faces: labelled faces.
        crops: `gt`: framed by the labels; `haar`: the box of `propose` that overlaps those most (what it misses is
            counted and left out); `jitter`: as the tracker frames a face whose points it had a frame ago.
        propose: the detector, for `haar`.
        seed: of `jitter`.

    Raises:
        InputError: the model speaks another schema, or `haar` finds no face at all or is asked of ready crops.
    """
    schema = faces.schema
    if model.schema is not schema:
        raise InputError(f"{model.file.path} speaks {model.schema.name}, {faces.name} is labelled in {schema.name}")
    if faces.cropped and crops != "gt":
        raise InputError(f"{faces.name} holds ready 96x96 crops; expected --crops gt, got {crops}")
    rng = np.random.default_rng(seed)
    points = np.full(faces.points.shape, np.nan, np.float32)
    framed, tracked = points.copy(), points.copy()
    scores = []
    for index, image in enumerate(faces.images):
        crop = _crop(faces, index, image, crops, propose, rng)
        if crop is None:
            continue
        units, score = model.predict(extract(image, crop))
        points[index] = crop.to_frame(units)
        scores.append(score)
        if crops != "gt":
            framed[index] = _look(model, image, faces.crop(index))
        if not faces.cropped:
            tracked[index] = points[index]
            for _ in range(LOOKS):
                tracked[index] = _look(model, image, crop_from_track(tracked[index], schema.mean_shape))
    if not scores:
        raise InputError(f"the detector found none of the {len(faces)} faces of {faces.name}; try --crops gt")
    seen = ~np.isnan(points[:, 0, 0])
    if not np.isfinite(schema.inter_ocular(faces.points[seen])).any():
        raise InputError(f"no face of {faces.name} has both outer eye corners labelled; the NME is measured by them")
    scale = np.array([CROP_SIZE / faces.crop(i).side for i in np.flatnonzero(seen).tolist()])
    figures = summarise(points[seen], faces.points[seen], schema, scale, faces.subject[seen])
    figures |= {"crops": crops, "missed": int((~seen).sum()), "mean_score": float(np.mean(scores))}
    for name, others in {"tracked": tracked, "gt": framed}.items():
        if not np.isnan(others).all():
            error = face_nme(others[seen], faces.points[seen], schema)
            figures[f"{name}_nme_percent"] = 100 * float(np.nanmean(error))
    nme = np.full(len(faces), np.nan)
    nme[seen] = face_nme(points[seen], faces.points[seen], schema)
    return Evaluation(figures, nme, points)


def _look(model: KeypointModel, image: NDArray[np.uint8], crop: Crop) -> Points:
    return crop.to_frame(model.predict(extract(image, crop))[0])


def _crop(
    faces: FaceSet,
    index: int,
    image: NDArray[np.uint8],
    crops: CropKind,
    propose: Propose | None,
    rng: np.random.Generator,
) -> Crop | None:
    truth = faces.crop(index)
    if crops == "gt":
        return truth
    if crops == "jitter":
        return tracked_crop(faces.points[index], faces.schema, rng, point_error=TRACK_POINT_ERROR)
    assert propose is not None
    best = max(propose(image), key=lambda box: iou(box, box_around(truth)), default=None)
    if best is None or iou(best, box_around(truth)) < MATCH:
        return None
    return crop_from_box(best)


def evaluate_scenes(
    model: KeypointModel,
    scenes: Sequence[Scene],
    *,
    propose: Callable[[NDArray[np.uint8]], Sequence[Box | Crop]],
    find: Callable[[NDArray[np.uint8]], Sequence[Points]],
) -> dict[str, Any]:
    """Score and recall on whole photographs.

    Args:
        model: gives the scores.
        scenes: photographs with their annotated faces; what overlaps a box of `ignore` counts neither way.
        propose: boxes or crops whose scores are compared: those that match an annotated face against those that match
            none.
        find: points (K, 2) of every face that the whole pipeline reports in a picture.
    """
    scores: dict[bool, list[float]] = {True: [], False: []}
    faces = proposed = found = false_faces = 0
    for scene in scenes:
        picture = read_picture(scene.path)
        labelled = [from_ibug68(face, model.schema) for face in scene.faces]
        boxes = [box_around(crop_from_labels(points, model.schema)) for points in labelled]
        crops = [each if isinstance(each, Crop) else crop_from_box(each) for each in propose(picture)]
        proposals = [box_around(crop) for crop in crops]
        for crop, box in zip(crops, proposals, strict=True):
            for _, is_face in judge_boxes([box], boxes, scene.ignore):
                scores[is_face].append(model.predict(extract(picture, crop))[1])
        proposed += sum(any(iou(box, other) >= MATCH for box in proposals) for other in boxes)
        reported = list(find(picture))
        hit, false = _match(reported, labelled, scene.ignore, model.schema)
        faces, found, false_faces = faces + len(labelled), found + hit, false_faces + false
    return {
        "photographs": len(scenes),
        "faces": faces,
        "score_auc": roc_auc(np.array(scores[True]), np.array(scores[False])),
        "true_boxes": len(scores[True]),
        "false_boxes": len(scores[False]),
        "proposed_percent": 100 * proposed / max(1, faces),
        "found_percent": 100 * found / max(1, faces),
        "false_faces_per_photograph": false_faces / max(1, len(scenes)),
    }


def judge_boxes(proposals: Sequence[Box], faces: Sequence[Box], ignore: Sequence[Box]) -> Iterator[tuple[Box, bool]]:
    """Each proposed box and whether it frames one of `faces`; what frames none but overlaps `ignore` is left out."""
    for box in proposals:
        is_face = any(iou(box, face) >= MATCH for face in faces)
        if is_face or not any(iou(box, other) > 0 for other in ignore):
            yield box, is_face


def _match(reported: list[Points], labelled: list[Points], ignore: Sequence[Box], schema: Schema) -> tuple[int, int]:
    """How many labelled faces were found, and how many reported ones are no face."""
    free = list(range(len(reported)))
    hits = 0
    for truth in labelled:
        errors = {i: float(face_nme(reported[i][None], truth[None], schema)[0]) for i in free}
        best = min(errors, key=errors.__getitem__, default=None)
        if best is not None and errors[best] <= FOUND:
            free.remove(best)
            hits += 1
    # A report on a labelled face whose points are too far off is a face not found, but no false face.
    near = [box_around(crop_from_labels(points, schema)) for points in labelled]
    boxes = [box_around(crop_from_track(reported[i], schema.mean_shape)) for i in free]
    return hits, sum(not is_face for _, is_face in judge_boxes(boxes, near, ignore))


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
