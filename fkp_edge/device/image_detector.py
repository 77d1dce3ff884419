"""Faces in single pictures: a permissive Haar search, each proposal verified by the network's score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Box, box_around, crop_from_box, extract, iou
from fkp_edge.core.observation import Face
from fkp_edge.device.detection.haar import HaarDetector, HaarSettings
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.refinement import Sight, settle
from fkp_edge.model.interpreter import KeypointModel

__all__ = ["StillFinder", "StillSettings"]


PERMISSIVE = HaarSettings(scale_factor=1.05, min_neighbors=1, min_size=24, longest_side=1280)

STRICT = HaarSettings(scale_factor=1.1, min_neighbors=3, min_size=24, longest_side=1280)


@dataclass(frozen=True, slots=True)
class StillSettings:
    """How hard to look, and when to believe. Chosen on val/scenes (benchmarks/results/stills.json)."""

    haar: HaarSettings = PERMISSIVE
    """Permissive: the score throws the wrong boxes out."""
    border: float = 0.25
    """The picture's border is repeated around it, by this share of its shorter side: Haar wants a margin around a face.
    A quarter finds most on unlabelled/utkface, without more of val/scenes's false ones than an eighth."""
    score: float = 0.9
    """Least score of a reported face; on val 0.7 to 0.9 find the same faces, so the strictest."""
    overlap: float = 0.3
    """Two reports whose boxes overlap more (intersection over union) are the same face: the better score stays."""


class StillFinder:
    """Finds faces and their points in pictures. Not for use by two threads at once."""

    def __init__(
        self,
        model: KeypointModel,
        settings: StillSettings | None = None,
        *,
        detect: Callable[[NDArray[np.uint8]], Sequence[Box]] | None = None,
    ) -> None:
        """`detect` proposes the boxes; by default Haar as the settings say."""
        self._model = model
        self._settings = settings or StillSettings()
        # without a score nothing throws the wrong boxes of a permissive search out
        haar = self._settings.haar if model.has_score else STRICT
        self._detect = detect or partial(_beyond_border, HaarDetector(haar).detect, self._settings.border)

    def find(self, grey: NDArray[np.uint8]) -> list[Face]:
        """The faces in `grey` (H, W), the best score first; ids count from 1."""
        times = StageTimes()
        seen = []
        for box in self._detect(grey):
            sight = settle(self._model, grey, crop_from_box(box), times)
            if sight and sight.score >= self._settings.score:
                seen.append(self._look_again(grey, sight))
        seen = [sight for sight in seen if sight.score >= self._settings.score]
        kept: list[Face] = []
        for sight in sorted(seen, key=lambda sight: -sight.score):
            box = box_around(sight.crop)
            if all(iou(box, face.box) < self._settings.overlap for face in kept):
                kept.append(Face(len(kept) + 1, sight.score, box, sight.points))
        return kept

    def _look_again(self, grey: NDArray[np.uint8], sight: Sight) -> Sight:
        """`sight` averaged with what the network sees in a mirror: better points, and wrong faces score less there."""
        pixels = extract(grey, sight.crop)
        units, score = self._model.predict(np.ascontiguousarray(pixels[:, ::-1]))
        mirrored = sight.crop.to_frame(self._model.schema.mirrored(units))
        points = np.asarray((sight.points + mirrored) / 2, np.float32)
        return Sight(points, (sight.score + score) / 2, sight.crop, pixels)


def _beyond_border(
    detect: Callable[[NDArray[np.uint8]], Sequence[Box]], border: float, grey: NDArray[np.uint8]
) -> list[Box]:
    """Boxes that `detect` finds in `grey` (H, W) with its border repeated around it, in the pixels of `grey`."""
    by = round(border * min(grey.shape))
    wide = np.asarray(cv2.copyMakeBorder(grey, by, by, by, by, cv2.BORDER_REPLICATE), np.uint8)
    return [(x - by, y - by, w, h) for x, y, w, h in detect(wide)]
