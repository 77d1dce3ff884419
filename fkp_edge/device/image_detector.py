"""Faces in single pictures: proposals of a permissive search, each verified by the network's score."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Box, box_around, extract, iou
from fkp_edge.core.observation import Face
from fkp_edge.device.detection.base import Detect, Proposal, as_crop
from fkp_edge.device.detection.finder import Finder, propose_everywhere
from fkp_edge.device.detection.haar import HaarDetector, HaarSettings
from fkp_edge.device.detection.search import Method
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.tracker import Prediction, refine_crop
from fkp_edge.model.interpreter import KeypointModel

__all__ = ["ImageDetector", "ImageSettings"]


PERMISSIVE = HaarSettings(scale_factor=1.05, min_neighbors=1, min_size=24, longest_side=1280)

STRICT = HaarSettings(scale_factor=1.1, min_neighbors=3, min_size=24, longest_side=1280)


@dataclass(frozen=True, slots=True)
class ImageSettings:
    """How hard to look, and when to believe. Chosen on val/scenes (benchmarks/results/stills.json)."""

    method: Method = "both"
    """What looks: the finder, Haar, or Haar where the finder found no face."""
    haar: HaarSettings = PERMISSIVE
    """Permissive: the score throws the wrong boxes out."""
    border: float = 0.25
    """The picture's border is repeated around it, by this share of its shorter side: Haar wants a margin around a face.
    A quarter finds most on unlabelled/utkface, without more of val/scenes's false ones than an eighth."""
    score: float = 0.9
    """Least score of a reported face; on val 0.7 to 0.9 find the same faces, so the strictest."""
    overlap: float = 0.3
    """Two reports whose boxes overlap more (intersection over union) are the same face: the better score stays."""


class ImageDetector:
    """Finds faces and their points in pictures. Not for use by two threads at once."""

    def __init__(
        self,
        model: KeypointModel,
        settings: ImageSettings | None = None,
        *,
        detect: Detect | None = None,
    ) -> None:
        """Opens what the settings' method needs.

        Args:
            model: verifies each proposal, and gives the points.
            settings: how hard to look, and when to believe.
            detect: proposes instead of the settings' method.

        Raises:
            MissingPartError: the method's cascade or network is not there.
        """
        self._model = model
        self._settings = settings or ImageSettings()
        self._detects = [detect] if detect else self._open()

    def _open(self) -> list[Detect]:
        """What proposes, in turn: the next one only where the one before found no face."""
        settings, has_score = self._settings, self._model.has_score
        detects: list[Detect] = []
        if settings.method == "finder" or (settings.method == "both" and has_score):
            detects.append(partial(propose_everywhere, Finder(), border=settings.border))
        if not detects or settings.method == "both":
            # without a score nothing throws the wrong boxes of a permissive search out
            haar = HaarDetector(settings.haar if has_score else STRICT)
            detects.append(partial(_beyond_border, haar.detect, settings.border))
        return detects

    def find(self, grey: NDArray[np.uint8]) -> list[Face]:
        """The faces in `grey` (H, W), the best score first; ids count from 1."""
        for detect in self._detects:
            if faces := self._verified(grey, detect(grey)):
                return faces
        return []

    def _verified(self, grey: NDArray[np.uint8], proposals: Iterable[Proposal]) -> list[Face]:
        times = StageTimes()
        seen = []
        for proposal in proposals:
            prediction = refine_crop(self._model, grey, as_crop(proposal), times)
            if prediction and prediction.score >= self._settings.score:
                seen.append(self._with_mirror(grey, prediction))
        seen = [prediction for prediction in seen if prediction.score >= self._settings.score]
        kept: list[Face] = []
        for prediction in sorted(seen, key=lambda prediction: -prediction.score):
            box = box_around(prediction.crop)
            if all(iou(box, face.box) < self._settings.overlap for face in kept):
                kept.append(Face(len(kept) + 1, prediction.score, box, prediction.points))
        return kept

    def _with_mirror(self, grey: NDArray[np.uint8], prediction: Prediction) -> Prediction:
        """`prediction` averaged with that of the mirrored crop: better points, and wrong faces score less there."""
        pixels = extract(grey, prediction.crop)
        units, score = self._model.predict(np.ascontiguousarray(pixels[:, ::-1]))
        mirrored = prediction.crop.to_frame(self._model.schema.mirrored(units))
        points = np.asarray((prediction.points + mirrored) / 2, np.float32)
        return Prediction(points, (prediction.score + score) / 2, prediction.crop, pixels)


def _beyond_border(
    detect: Callable[[NDArray[np.uint8]], Sequence[Box]], border: float, grey: NDArray[np.uint8]
) -> list[Box]:
    """Boxes that `detect` finds in `grey` (H, W) with its border repeated around it, in the pixels of `grey`."""
    by = round(border * min(grey.shape))
    wide = np.asarray(cv2.copyMakeBorder(grey, by, by, by, by, cv2.BORDER_REPLICATE), np.uint8)
    return [(x - by, y - by, w, h) for x, y, w, h in detect(wide)]
