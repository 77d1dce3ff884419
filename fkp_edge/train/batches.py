"""Batches for training, made in a thread beside the optimiser: OpenCV and NumPy release Python's lock."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import CROP_SIZE, Box
from fkp_edge.data import FaceSet
from fkp_edge.train.augment import degrade, face_crop
from fkp_edge.train.proposals import Negatives
from fkp_edge.train.recipe import Recipe

__all__ = ["Batch", "BatchMaker", "TrainingSet", "ahead"]

EYES_PX = 40.0
"""Inter-ocular distance of a frontal face in the crop, pixels: the face of weight 1."""

Floats = NDArray[np.float32]
T = TypeVar("T")


class Batch(NamedTuple):
    """One step's arrays: the faces first, then the negatives."""

    pixels: Floats
    """(N, 96, 96, 1), grey levels 0 to 255."""
    offsets: Floats
    """(N, 2K), crop units from the mean shape; 0 where not labelled."""
    mask: Floats
    """(N, 2K), 1 where labelled."""
    weight: Floats
    """(N, 1), weight of the face's keypoints."""
    score: Floats
    """(N, 1), 1 for a well-framed face."""


class TrainingSet(NamedTuple):
    """Faces to learn from."""

    faces: FaceSet
    times: int
    """How often an epoch shows each face."""
    boxes: list[list[Box]]
    """Of each face: a detector's boxes that frame it, maybe none."""


@dataclass(frozen=True, eq=False)
class BatchMaker:
    """Draws the batches of an epoch; the same seed and epoch give the same batches."""

    sets: list[TrainingSet]
    negatives: Negatives
    recipe: Recipe

    @property
    def steps(self) -> int:
        """Batches an epoch; what does not fill the last one is left to the next shuffle."""
        return max(1, sum(len(s.faces) * s.times for s in self.sets) // self.recipe.fit.batch)

    def epoch(self, epoch: int) -> Iterator[Batch]:
        """The batches of `epoch`."""
        rng = np.random.default_rng([self.recipe.fit.seed, epoch])
        faces = [(i, j) for i, s in enumerate(self.sets) for j in range(len(s.faces)) for _ in range(s.times)]
        order = rng.permutation(len(faces))
        size = self.recipe.fit.batch
        for step in range(self.steps):
            yield self._batch([faces[k] for k in order[step * size : (step + 1) * size]], rng)

    def _batch(self, chosen: list[tuple[int, int]], rng: np.random.Generator) -> Batch:
        schema = self.sets[0].faces.schema
        total = len(chosen) + self.recipe.fit.negatives
        pixels = np.zeros((total, CROP_SIZE, CROP_SIZE, 1), np.float32)
        units = np.full((total, schema.size, 2), np.nan, np.float32)
        for row, (which, index) in enumerate(chosen):
            faces, _, boxes = self.sets[which]
            crop, units[row] = face_crop(faces, index, rng, self.recipe.augment, boxes[index])
            pixels[row, :, :, 0] = crop
        for row in range(len(chosen), total):
            source = self.sets[rng.integers(len(self.sets))].faces
            pixels[row, :, :, 0] = degrade(self.negatives.draw(source, rng), rng, self.recipe.augment)
        offsets = (units - schema.mean_shape).reshape(total, -1)
        mask = np.isfinite(offsets)
        score = np.zeros((total, 1), np.float32)
        score[: len(chosen)] = 1
        return Batch(pixels, np.where(mask, offsets, 0), mask.astype(np.float32), self._weights(units), score)

    def _weights(self, units: Floats) -> Floats:
        if not self.recipe.loss.eye_weight:
            return np.ones((len(units), 1), np.float32)
        eyes = self.sets[0].faces.schema.inter_ocular(units) * CROP_SIZE
        weight = np.clip(EYES_PX / np.maximum(np.nan_to_num(eyes, nan=EYES_PX), 1.0), 0.7, 2.0)
        return weight.astype(np.float32)[:, None]


def ahead(batches: Iterator[T], depth: int = 4) -> Iterator[T]:
    """`batches`, up to `depth` of them made in advance by a thread that ends with the iteration."""
    ready: queue.Queue[T | BaseException | None] = queue.Queue(depth)
    stop = threading.Event()

    def put(item: T | BaseException | None) -> None:
        while not stop.is_set():
            with contextlib.suppress(queue.Full):
                ready.put(item, timeout=0.2)
                return

    def work() -> None:
        try:
            for batch in batches:
                put(batch)
                if stop.is_set():
                    return
            put(None)
        except BaseException as error:  # handed to the consumer, which raises it
            put(error)

    thread = threading.Thread(target=work, name="batches", daemon=True)
    thread.start()
    try:
        while (item := ready.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item
    finally:
        stop.set()
        thread.join(10)
