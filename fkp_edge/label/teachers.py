"""Teachers: what marks the points of faces in pictures, and says how sure it is of each face."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import crop_from_track, extract
from fkp_edge.core.keypoints import Points, Schema
from fkp_edge.device.image_detector import ImageDetector
from fkp_edge.model.interpreter import KeypointModel

__all__ = ["Marked", "NetworkTeacher", "Teacher", "disagreement"]

Grey = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Marked:
    """One face as a teacher sees it."""

    points: Points
    """(K, 2), pixels of the picture: the mean of what the picture and its mirror image gave."""
    disagreement: float
    """Mean distance between the points of the picture and of its mirror image, in distances of the outer eye corners:
    small where the teacher is sure."""


class Teacher(Protocol):
    """Marks faces."""

    name: str
    """What it is and which version of it, so that a run goes on with the same one only."""
    schema: Schema
    """Which points it marks."""

    def mark(self, grey: Grey) -> Sequence[Marked]:
        """The faces in `grey` (H, W) whose points this teacher sees, the best first."""
        ...


def disagreement(points: Points, mirrored: Points, schema: Schema) -> float:
    """Mean distance between the points (K, 2) of a face and those of its mirror image, put back, in eye distances."""
    eyes = float(schema.inter_ocular((points + mirrored) / 2))
    return float(np.linalg.norm(points - mirrored, axis=1).mean()) / max(eyes, 1e-6)


class NetworkTeacher:
    """A keypoint network as the teacher. Not for use by two threads at once."""

    def __init__(self, model: KeypointModel, detector: ImageDetector | None = None) -> None:
        """Looks with `model`, for faces that `detector` finds (as `fkp-edge predict` does where None)."""
        self._model = model
        self._detector = detector or ImageDetector(model)
        self.name = f"{model.file.path.stem} {model.file.sha256[:12]}"
        self.schema = model.schema

    def mark(self, grey: Grey) -> list[Marked]:
        """The faces that are found in `grey`, each looked at as it is and mirrored."""
        return [self._mark(grey, face.points) for face in self._detector.find(grey)]

    def _mark(self, grey: Grey, points: Points) -> Marked:
        crop = crop_from_track(points, self.schema.mean_shape)
        pixels = extract(grey, crop)
        one = crop.to_frame(self._model.predict(pixels)[0])
        units, _ = self._model.predict(np.ascontiguousarray(pixels[:, ::-1]))
        other = crop.to_frame(self.schema.mirrored(units))
        return Marked(np.asarray((one + other) / 2, np.float32), disagreement(one, other, self.schema))
