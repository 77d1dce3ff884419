"""What a face detector proposes on the training pictures: real boxes, whose errors no bell curve has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

import msgspec
from tqdm import tqdm

from fkp_edge.core.files import write_whole
from fkp_edge.core.geometry import Box, box_around, iou
from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.evaluation.evaluate import MATCH, Propose

__all__ = ["cached", "face_boxes"]

T = TypeVar("T")


def face_boxes(sets: Iterable[FaceSet], propose: Propose, cache: Path) -> list[list[list[Box]]]:
    """Of each set and face: the boxes of `propose` that frame it; kept in `cache` for next time."""

    def mine() -> list[list[list[Box]]]:
        return [
            [_framing(faces, i, propose) for i in tqdm(range(len(faces)), desc=f"Haar boxes on {faces.name}")]
            for faces in sets
        ]

    return cached(cache, list[list[list[Box]]], mine)


def _framing(faces: FaceSet, index: int, propose: Propose) -> list[Box]:
    if faces.cropped:
        return []
    truth = box_around(faces.crop(index))
    boxes = [(float(x), float(y), float(w), float(h)) for x, y, w, h in propose(faces.images[index])]
    return [box for box in boxes if iou(box, truth) >= MATCH]


def cached(cache: Path, kind: type[T], make: Callable[[], T]) -> T:
    """What the file `cache` holds (JSON of `kind`), else what `make` gives, which is then kept there.

    Raises:
        InputError: the file is damaged.
    """
    if cache.exists():
        try:
            return msgspec.json.decode(cache.read_bytes(), type=kind)
        except msgspec.MsgspecError as error:
            raise InputError(f"{cache} is damaged ({error}); delete it, and it is made again") from error
    made = make()
    write_whole({cache: msgspec.json.encode(made)})
    return made
