"""Photographs to choose between finders by: mosaics of small faces among much that is none.

In whole validation photographs one large face is easily found; few networks differ. Here each has 20 to 80 pixels of
640, as people in the street have, and lies between other pictures' clothes, leaves and walls.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from fkp_edge.core.geometry import Box
from fkp_edge.evaluation.evaluate import LabelledPhotograph

__all__ = ["mosaics"]

Window = tuple[int, int, int, int]
"""Left, top, width and height, pixels."""

SIZE = (640, 480)
TRIES = 40


def mosaics(photographs: Sequence[LabelledPhotograph], *, count: int = 120, seed: int = 3) -> list[LabelledPhotograph]:
    """`count` pictures (480, 640) of tiles of `photographs`, one to three with a face; the same seed, the same ones."""
    rng = np.random.default_rng(seed)
    return [_mosaic(photographs, rng) for _ in range(count)]


def _mosaic(photographs: Sequence[LabelledPhotograph], rng: np.random.Generator) -> LabelledPhotograph:
    columns = int(rng.integers(4, 10))
    rows = max(2, round(columns * 0.75 * rng.uniform(0.8, 1.2)))
    picture = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    with_face = set(rng.permutation(columns * rows)[: rng.integers(1, 4)].tolist())
    faces: list[Box] = []
    ignore: list[Box] = []
    for index in range(columns * rows):
        left, right = (SIZE[0] * (index % columns + k) // columns for k in (0, 1))
        top, bottom = (SIZE[1] * (index // columns + k) // rows for k in (0, 1))
        size = (right - left, bottom - top)
        chosen = _chosen(photographs, size, rng, with_face=index in with_face)
        if chosen is None:
            continue
        source, window, face = chosen
        x, y, width, height = window
        part = source.picture[y : y + height, x : x + width]
        reduce = cv2.INTER_AREA if width > size[0] else cv2.INTER_LINEAR
        picture[top:bottom, left:right] = cv2.resize(part, size, interpolation=reduce)

        if face:
            tile = (left, top, *size)
            faces.append(_moved(face, window, tile))
            others = (*source.faces, *source.ignore)
            ignore += [_moved(box, window, tile) for box in others if box is not face and _meets(box, window)]
    return LabelledPhotograph(picture, tuple(faces), tuple(ignore))


def _chosen(
    photographs: Sequence[LabelledPhotograph], size: tuple[int, int], rng: np.random.Generator, *, with_face: bool
) -> tuple[LabelledPhotograph, Window, Box | None] | None:
    """A photograph, a window of it with the shape of `size`, and the face that lies whole in it, where asked.

    None where the photographs hardly have one.
    """
    for _ in range(TRIES):
        source = photographs[int(rng.integers(len(photographs)))]
        if with_face and not source.faces:
            continue
        height, width = source.picture.shape
        face = source.faces[int(rng.integers(len(source.faces)))] if with_face else None
        for _ in range(TRIES):
            scale = min(width / size[0], height / size[1]) * rng.uniform(0.7 if face else 0.2, 1)
            w, h = max(1, int(size[0] * scale)), max(1, int(size[1] * scale))
            window = (int(rng.integers(width - w + 1)), int(rng.integers(height - h + 1)), w, h)
            taken = [box for box in (*source.faces, *source.ignore) if _meets(box, window)]
            if _holds(window, face) if face else not taken:
                return source, window, face
    return None


def _moved(box: Box, window: Window, tile: Window) -> Box:
    """`box` of a photograph as one of the mosaic, where `tile` shows `window`."""
    scale = [tile[k + 2] / window[k + 2] for k in (0, 1)]
    x, y = ((box[k] - window[k]) * scale[k] + tile[k] for k in (0, 1))
    return x, y, box[2] * scale[0], box[3] * scale[1]


def _holds(window: Window, box: Box) -> bool:
    return all(window[k] <= box[k] and box[k] + box[k + 2] <= window[k] + window[k + 2] for k in (0, 1))


def _meets(box: Box, window: Window) -> bool:
    return all(box[k] < window[k] + window[k + 2] and window[k] < box[k] + box[k + 2] for k in (0, 1))
