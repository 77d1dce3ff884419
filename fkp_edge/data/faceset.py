"""FaceSet: labelled faces, whatever file they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import CROP_SIZE, Crop, crop_from_labels, extract
from fkp_edge.core.keypoints import Points, Schema

__all__ = ["FaceSet"]


@dataclass(frozen=True, eq=False)
class FaceSet:
    """Pictures with one labelled face each."""

    name: str
    """What reports call this set, such as `afw`."""
    schema: Schema
    """Which points are labelled."""
    points: Points
    """(N, K, 2), pixels of each picture; NaN where a point is not labelled."""
    images: Sequence[NDArray[np.uint8]]
    """N grey pictures (H, W)."""
    labels: tuple[str, ...]
    """N names of the faces, for lists of the worst."""
    cropped: bool = False
    """True where the pictures already are 96x96 crops (Kaggle): they are used whole."""
    people: tuple[str, ...] = ()
    """N names, the same for pictures of one person; empty where each picture counts as a person of its own."""

    @property
    def subject(self) -> NDArray[np.intp]:
        """(N,) number of the person in each picture, from 0. Frames of one person err alike: intervals draw people."""
        if not self.people:
            return np.arange(len(self))
        return np.unique(self.people, return_inverse=True)[1]

    def __len__(self) -> int:
        return len(self.points)

    def digest(self) -> str:
        """What the pictures and their points are, as a hexadecimal SHA-256: two sets with the same one are the same."""
        found = hashlib.sha256(f"{self.schema.name} {self.cropped}".encode())
        found.update(np.asarray(self.points, np.float32).tobytes())
        for image in self.images:
            found.update(repr(image.shape).encode())
            found.update(image.tobytes())
        return found.hexdigest()

    def crop(self, index: int) -> Crop:
        """The crop that frames face `index` as its labels say (the whole picture where it already is a crop)."""
        if self.cropped:
            middle = (CROP_SIZE - 1) / 2
            return Crop(middle, middle, CROP_SIZE)
        return crop_from_labels(self.points[index], self.schema)

    def as_crops(self) -> FaceSet:
        """The same faces as ready 96x96 crops, framed by their labels; itself where they already are."""
        if self.cropped:
            return self
        crops = [self.crop(i) for i in range(len(self))]
        images = [extract(image, crop) for image, crop in zip(self.images, crops, strict=True)]
        units = np.stack([crop.to_units(points) for crop, points in zip(crops, self.points, strict=True)])
        points = np.asarray(units * CROP_SIZE - 0.5, np.float32)
        return replace(self, images=images, points=points, cropped=True)

    def in_memory(self) -> FaceSet:
        """The same faces with their pictures read: training reads each hundreds of times."""
        return replace(self, images=list(self.images))
