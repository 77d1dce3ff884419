"""Labels that an earlier network gives to pictures nobody annotated: self-training on more faces.

Each face is seen as several jittered and mirrored crops and takes their mean as its label, which is better than one
look (test-time augmentation); faces that the looks disagree on are left out (Lee, Pseudo-Label, ICML workshop 2013).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fkp_edge.data import FaceSet, find_pictures, read_picture
from fkp_edge.errors import InputError
from fkp_edge.evaluate import Propose
from fkp_edge.geometry import Crop, Jitter, crop_from_box, crop_from_track, extract, jittered
from fkp_edge.keypoints import IBUG68, Points, Schema, from_ibug68, schema_named
from fkp_edge.train.backend import keras
from fkp_edge.train.proposals import cached

__all__ = ["label_pictures"]

VIEWS = 12
VIEW_JITTER = Jitter(shift=0.02, scale=0.05, roll=4.0)
SURE = 0.9
"""Least mean score of a face that is kept."""
AGREE = 0.03
"""Largest standard deviation of a face's points over its views, root mean square in eye distances."""
CHUNK = 64
"""Pictures a step."""

Teacher = tuple[keras.Model, dict[str, Any]]
Label = tuple[str, list[tuple[float, float]]]
"""File name and points (K, 2) in the picture."""


def label_pictures(folder: Path, teacher: Teacher, schema: Schema, propose: Propose, cache: Path) -> FaceSet:
    """The largest face of each picture in `folder` with the points that `teacher` gives it; kept in `cache`.

    Args:
        folder: pictures.
        teacher: network and description, as `load_trained` gives them; of `schema` or of 68 points.
        schema: of the labels.
        propose: a face detector.
        cache: file that keeps the labels.

    Raises:
        InputError: no picture, or no face on which the views agree.
    """
    if teacher[1]["schema"] not in (schema.name, IBUG68.name):
        raise InputError(f"the network of --start speaks {teacher[1]['schema']}; expected {schema.name} or ibug68")
    paths = find_pictures(folder)
    labels = cached(cache, list[Label], lambda: list(_label(paths, teacher, schema, propose)))
    if not labels:
        raise InputError(f"the network of --start is sure of no face in {folder}; expected photographs of faces")
    names, points = zip(*labels, strict=True)
    images = [read_picture(folder / name) for name in names]
    return FaceSet(folder.name, schema, np.array(points, np.float32), images, names)


def _label(paths: list[Path], teacher: Teacher, schema: Schema, propose: Propose) -> Iterator[Label]:
    theirs = schema_named(teacher[1]["schema"])
    rng = np.random.default_rng(0)
    for start in tqdm(range(0, len(paths), CHUNK), desc="labelling pictures", unit=f"{CHUNK} pictures"):
        found, pictures, crops = [], [], []
        for path in paths[start : start + CHUNK]:
            picture = read_picture(path)
            if boxes := propose(picture):
                found.append(path.name)
                pictures.append(picture)
                crops.append([crop_from_box(max(boxes, key=lambda box: box[2]))])
        for _ in range(2):  # from Haar's box to the crop that the points ask for
            points, _ = _predict(teacher, pictures, crops)
            crops = [[crop_from_track(p[0], theirs.mean_shape)] for p in points]
        views = [[jittered(crop[0], VIEW_JITTER, rng) for _ in range(VIEWS)] for crop in crops]
        points, scores = _predict(teacher, pictures, views)
        for name, seen, score in zip(found, points, scores, strict=True):
            mean = seen.mean(0)
            left, right = theirs.eye_centers(mean)
            spread = float(np.sqrt(((seen - mean) ** 2).sum(-1).mean()) / np.linalg.norm(left - right))
            if score.mean() >= SURE and spread <= AGREE:
                label = mean if theirs is schema else from_ibug68(mean, schema)
                yield name, [(float(x), float(y)) for x, y in label]


def _predict(
    teacher: Teacher, pictures: Iterable[NDArray[np.uint8]], crops: list[list[Crop]]
) -> tuple[list[Points], list[NDArray[np.float32]]]:
    """Points (V, K, 2) in picture pixels and scores (V,) of the V crops of each picture; every second one mirrored."""
    if not crops:
        return [], []
    network, described = teacher
    schema, mean = schema_named(described["schema"]), np.array(described["mean_shape"], np.float32)
    pixels = np.stack(
        [
            extract(picture, crop)[:, :: 1 - 2 * (number % 2)]
            for picture, views in zip(pictures, crops, strict=True)
            for number, crop in enumerate(views)
        ]
    )
    out = network.predict(pixels[..., None].astype(np.float32), batch_size=128, verbose=0)
    units = iter(out["keypoints"].reshape(len(pixels), -1, 2) + mean)
    scores = iter(out["score"][:, 0])
    points = []
    for views in crops:
        seen = []
        for number, crop in enumerate(views):
            unit = next(units)
            seen.append(crop.to_frame(schema.mirrored(unit) if number % 2 else unit))
        points.append(np.stack(seen))
    return points, [np.array([next(scores) for _ in views]) for views in crops]
