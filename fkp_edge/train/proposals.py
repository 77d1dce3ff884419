"""What a face detector proposes on the training pictures: found on all cores, once for the same pictures."""

from __future__ import annotations

import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from fkp_edge.core.files import write_whole
from fkp_edge.core.geometry import Box, box_around, iou
from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.evaluation.evaluate import MATCH, Propose

__all__ = ["Proposer", "cache_folder", "face_boxes", "proposals_on"]

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
    if not isinstance(propose, Proposer):
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
