"""What a face detector proposes on the training pictures: found on all cores, once for the same pictures."""

from __future__ import annotations

import hashlib
import logging
import math
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fkp_edge.core.files import write_whole
from fkp_edge.core.geometry import (
    Box,
    Crop,
    Jitter,
    box_around,
    crop_from_box,
    crop_from_labels,
    extract,
    iou,
    jittered,
)
from fkp_edge.core.keypoints import IBUG68
from fkp_edge.data import FaceSet, Scene, read_picture
from fkp_edge.errors import InputError
from fkp_edge.evaluation.evaluate import MATCH, Propose

__all__ = ["Negatives", "Proposer", "cache_folder", "face_boxes", "mine_negatives", "proposals_on"]

log = logging.getLogger(__name__)

Boxes = list[list[Box]]
"""Of each picture what was proposed."""


class Proposer:
    """A face detector for all cores: every thread that calls it works with a detector of its own."""

    def __init__(self, make: Callable[[], Propose], settings: str) -> None:
        """Args: `make` builds a detector; `settings` says all that decides what it finds, for the cache's key."""
        self._make = make
        self.settings = settings
        self._own = threading.local()

    def __call__(self, grey: NDArray[np.uint8]) -> Sequence[Box]:
        """What the detector proposes in `grey` (H, W)."""
        if not hasattr(self._own, "propose"):
            self._own.propose = self._make()
        found: Sequence[Box] = self._own.propose(grey)
        return found


def face_boxes(sets: Iterable[FaceSet], propose: Propose) -> list[Boxes]:
    """Of each set and face: the boxes of `propose` that frame it; none in ready crops."""
    return [_framing(faces, propose) for faces in sets]


def _framing(faces: FaceSet, propose: Propose) -> Boxes:
    if faces.cropped:
        return [[] for _ in range(len(faces))]
    truth = [box_around(faces.crop(index)) for index in range(len(faces))]
    found = proposals_on(faces.images, propose, faces.name)
    return [[box for box in boxes if iou(box, face) >= MATCH] for boxes, face in zip(found, truth, strict=True)]


def proposals_on(pictures: Sequence[NDArray[np.uint8]], propose: Propose, name: str) -> Boxes:
    """The boxes that `propose` gives on each of the grey `pictures`.

    A `Proposer` works on all cores, and what it found is kept in `cache_folder` under a name made of the pictures'
    content and its settings: whoever asks for the same again waits no more. `name` is what progress calls the pictures.

    Raises:
        InputError: the kept file is damaged.
    """
    if not len(pictures) or not isinstance(propose, Proposer):
        return list(map(_plain, map(propose, pictures)))
    kept = cache_folder() / f"proposals-{_key(pictures, propose.settings)}.json"
    if kept.exists():
        return _read(kept, len(pictures))
    found = _on_all_cores(pictures, propose, name)
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_whole({kept: msgspec.json.encode(found)})
    except (OSError, InputError) as error:
        log.warning("what Haar found is not kept for next time: %s", error)
    return found


def _on_all_cores(pictures: Sequence[NDArray[np.uint8]], propose: Proposer, name: str) -> Boxes:
    pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="proposals")
    try:
        waiting = pool.map(lambda index: propose(pictures[index]), range(len(pictures)))
        said = f"Haar on {name}, once for this data"
        return [_plain(boxes) for boxes in tqdm(waiting, said, len(pictures), unit="picture", mininterval=1)]
    finally:
        pool.shutdown(cancel_futures=True)  # Ctrl-C waits for no more than what runs


def cache_folder() -> Path:
    """The user's cache folder for this program: `$XDG_CACHE_HOME/fkp-edge`, else `~/.cache/fkp-edge`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fkp-edge"


def _plain(boxes: Sequence[Box]) -> list[Box]:
    return [(float(x), float(y), float(w), float(h)) for x, y, w, h in boxes]


def _key(pictures: Sequence[NDArray[np.uint8]], settings: str) -> str:
    digest = hashlib.sha256(settings.encode())
    for picture in pictures:
        digest.update(repr(picture.shape).encode())
        digest.update(picture.tobytes())
    return digest.hexdigest()[:32]


def _read(kept: Path, count: int) -> Boxes:
    try:
        found = msgspec.json.decode(kept.read_bytes(), type=Boxes)
        if len(found) != count:
            raise ValueError(f"it has {len(found)} pictures, expected {count}")
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        raise InputError(f"{kept} is damaged ({error}); delete it, and it is made again") from error
    return found


NEAR = 0.25
"""A box that overlaps a face less (intersection over union) does not frame it."""
HALF = 0.1
"""Half of the badly framed faces overlap at least so much: half faces are what Haar gets wrong."""
FALSE_BOX_JITTER = Jitter(shift=0.06, scale=0.12, roll=8.0)


@dataclass(frozen=True, eq=False)
class Negatives:
    """Where negatives are drawn from."""

    pictures: list[NDArray[np.uint8]]
    """Photographs, grey."""
    faces: list[list[Box]]
    """Of each photograph: boxes of its faces, annotated or not."""
    false_boxes: list[tuple[int, Box]]
    """Photograph and box of each wrong proposal."""

    def draw(self, faces: FaceSet, rng: np.random.Generator) -> NDArray[np.uint8]:
        """One crop (96, 96): 45 % wrong proposals, 25 % background, 30 % badly framed faces of `faces`."""
        kind = rng.random()
        if kind < 0.45 and self.false_boxes:
            which, box = self.false_boxes[rng.integers(len(self.false_boxes))]
            crop = jittered(crop_from_box(box), FALSE_BOX_JITTER, rng)
            pixels = extract(self.pictures[which], crop)
        elif kind < 0.70 and self.pictures:
            pixels = self._background(rng)
        else:
            index = int(rng.integers(len(faces)))
            pixels = extract(faces.images[index], _badly_framed(faces.crop(index), rng))
        return pixels if rng.random() < 0.5 else np.ascontiguousarray(pixels[:, ::-1])

    def _background(self, rng: np.random.Generator) -> NDArray[np.uint8]:
        which = int(rng.integers(len(self.pictures)))
        picture = self.pictures[which]
        height, width = picture.shape
        while True:
            side = math.exp(rng.uniform(math.log(24), math.log(min(height, width))))
            crop = Crop(rng.uniform(0, width), rng.uniform(0, height), side, math.radians(rng.normal(0, 15)))
            if all(iou(box_around(crop), face) < NEAR for face in self.faces[which]):
                return extract(picture, crop)


def _badly_framed(crop: Crop, rng: np.random.Generator) -> Crop:
    """`crop` of a face moved, scaled or turned until it frames the face no more."""
    if rng.random() < 0.25:
        return Crop(crop.x, crop.y, crop.side, math.radians(rng.uniform(65, 295)))
    least = HALF if rng.random() < 0.5 else 0.0
    while True:
        dx, dy = rng.uniform(-1, 1, 2) * crop.side
        moved = Crop(crop.x + dx, crop.y + dy, crop.side * math.exp(rng.uniform(-1.1, 0.9)), rng.normal(0, 0.2))
        if least <= iou(box_around(moved), box_around(crop)) < NEAR:
            return moved


def mine_negatives(scenes: list[Scene], propose: Propose) -> Negatives:
    """The photographs of `scenes` with what `propose` finds in them that is no face."""
    pictures = [read_picture(scene.path) for scene in scenes]
    faces = [_face_boxes(scene) for scene in scenes]
    false_boxes = [
        (index, box)
        for index, boxes in enumerate(proposals_on(pictures, propose, "photographs"))
        for box in boxes
        if all(iou(box, face) < NEAR for face in faces[index])
    ]
    return Negatives(pictures, faces, false_boxes)


def _face_boxes(scene: Scene) -> list[Box]:
    return [box_around(crop_from_labels(face, IBUG68)) for face in scene.faces] + list(scene.ignore)
