"""Haar's cascade over a frame, upright or rotated."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from fkp_edge.core.geometry import Box, Crop, crop_from_box
from fkp_edge.core.settings import Settings
from fkp_edge.errors import MissingPartError

__all__ = ["PERMISSIVE", "HaarDetector", "HaarSettings", "RotatedDetector", "find_cascade", "settings_text"]

WINDOW = 24
"""The cascade's own window, pixels: nothing smaller can be found."""
CASCADE = "haarcascade_frontalface_default.xml"
DEBIAN_FOLDER = Path("/usr/share/opencv4/haarcascades")


class HaarSettings(Settings, frozen=True, kw_only=True):
    """How hard to look."""

    scale_factor: Annotated[float, Meta(ge=1.01, le=2)] = 1.1
    """Ratio between successive window sizes."""
    min_neighbors: Annotated[int, Meta(ge=0, le=100)] = 3
    """Overlapping hits that make a face."""
    min_size: Annotated[int, Meta(ge=WINDOW, le=4096)] = 40
    """Smallest face, pixels of the given picture; 24 pixels of the reduced one at least."""
    longest_side: Annotated[int, Meta(ge=WINDOW, le=4096)] = 480
    """The picture is reduced so that its longer side has at most this many pixels."""


PERMISSIVE = HaarSettings(scale_factor=1.1, min_neighbors=1, min_size=24, longest_side=4096)
"""For training: the wrong boxes are what a score learns from."""


def find_cascade(folders: tuple[Path, ...] | None = None) -> Path:
    """The frontal-face cascade file of OpenCV's wheel, else of Debian's package opencv-data.

    Raises:
        MissingPartError: OpenCV is 5 or later, or no folder has the file; the text says what to install.
    """
    if not hasattr(cv2, "CascadeClassifier"):
        raise MissingPartError(
            f"OpenCV {cv2.__version__} has no CascadeClassifier; expected OpenCV 4: "
            "pip install 'opencv-python-headless>=4.10,<5'; or take --search finder, which needs none"
        )
    if folders is None:
        bundled = getattr(getattr(cv2, "data", None), "haarcascades", None)
        folders = (*((Path(bundled),) if bundled else ()), DEBIAN_FOLDER)
    for folder in folders:
        if (folder / CASCADE).is_file():
            return folder / CASCADE
    raise MissingPartError(
        f"{CASCADE} is in none of {', '.join(map(str, folders))}; sudo apt install opencv-data, "
        "or pip install 'opencv-python-headless>=4.10,<5', which brings it"
    )


def settings_text(settings: HaarSettings) -> str:
    """All that decides what a detector with these settings finds: they, the cascade's content and OpenCV's version."""
    cascade = hashlib.sha256(find_cascade().read_bytes()).hexdigest()
    return f"Haar {settings} {cascade} OpenCV {cv2.__version__}"


class HaarDetector:
    """Proposes boxes of frontal faces. Not for use by two threads at once."""

    def __init__(self, settings: HaarSettings | None = None, *, cascade: Path | None = None) -> None:
        self.settings = settings or HaarSettings()
        path = cascade or find_cascade()
        broken = f"{path} is not a cascade that OpenCV reads; pip install --force-reinstall opencv-python-headless"
        try:
            self._cascade = cv2.CascadeClassifier(str(path))
        except (cv2.error, SystemError) as error:  # OpenCV 4.14 lets its own exception escape as SystemError
            raise MissingPartError(broken) from error
        if self._cascade.empty():
            raise MissingPartError(broken)

    def detect(self, grey: NDArray[np.uint8]) -> list[Box]:
        """Boxes (x, y, w, h) of faces in `grey` (H, W), in its pixels, the largest first."""
        if min(grey.shape) < WINDOW:
            return []
        small, shrink = self.reduce(grey)
        right, down = grey.shape[1] / small.shape[1], grey.shape[0] / small.shape[0]
        return [(x * right, y * down, w * right, h * down) for x, y, w, h in self.find(small, shrink)]

    def reduce(self, grey: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
        """`grey` (H, W) with at most `longest_side` pixels a side, and the factor by which it was reduced."""
        height, width = grey.shape
        shrink = min(1.0, self.settings.longest_side / max(height, width))
        if shrink == 1.0:
            return grey, shrink
        size = (max(WINDOW, round(width * shrink)), max(WINDOW, round(height * shrink)))
        return cv2.resize(grey, size, interpolation=cv2.INTER_AREA), shrink  # type: ignore[return-value]

    def find(self, small: NDArray[np.uint8], shrink: float) -> list[Box]:
        """Boxes of faces in what `reduce` gave, turned or not, in its pixels, the largest first."""
        s = self.settings
        smallest = max(WINDOW, round(s.min_size * shrink))
        found = self._cascade.detectMultiScale(
            small, scaleFactor=s.scale_factor, minNeighbors=s.min_neighbors, minSize=(smallest, smallest)
        )
        return sorted(((x, y, w, h) for x, y, w, h in found), key=lambda box: -box[2])


TURNS = (30.0, -30.0)
"""Degrees, clockwise on the screen, by which faces are tilted that are looked for beside upright ones."""


class RotatedDetector:
    """Proposes upright faces; where there are none, those of the next turn. Not for two threads at once.

    Upright boxes that hold no face must not keep a tilted one from being found: each second time in a row that there
    are some, those of all turns come between them.
    """

    def __init__(self, detector: HaarDetector) -> None:
        self._detector = detector
        self._turns = itertools.cycle(TURNS)
        self._upright_alone = False
        """What was proposed last were upright boxes alone."""

    def detect(self, grey: NDArray[np.uint8]) -> Sequence[Box | Crop]:
        """Boxes of faces in `grey` (H, W), or crops that are turned as the face is; the largest of each turn first."""
        boxes = self._detector.detect(grey)
        self._upright_alone = bool(boxes) and not self._upright_alone
        if self._upright_alone:
            return boxes
        turns = TURNS if boxes else (next(self._turns),)
        found: list[Sequence[Box | Crop]] = [boxes, *(self.detect_rotated(grey, degrees) for degrees in turns)]
        rows = itertools.zip_longest(*found)
        return [proposal for row in rows for proposal in row if proposal is not None]

    def detect_rotated(self, grey: NDArray[np.uint8], degrees: float) -> list[Crop]:
        """Crops of faces in `grey` (H, W) that are tilted by about `degrees` clockwise, the largest first."""
        if min(grey.shape) < WINDOW:
            return []
        small, shrink = self._detector.reduce(grey)
        height, width = small.shape
        right, down = grey.shape[1] / width, grey.shape[0] / height
        turn, middle = _turn(-degrees), complex(width - 1, height - 1) / 2  # from the reduced to the turned picture
        offset = middle - turn * middle
        matrix = np.array([[turn.real, -turn.imag, offset.real], [turn.imag, turn.real, offset.imag]])
        turned = np.asarray(cv2.warpAffine(small, matrix, (width, height)), np.uint8)
        crops = []
        for box in self._detector.find(turned, shrink):
            crop = crop_from_box(box)
            place = (complex(crop.x, crop.y) - offset) / turn
            x, y = (place.real + 0.5) * right - 0.5, (place.imag + 0.5) * down - 0.5
            crops.append(Crop(x, y, crop.side * right, math.radians(degrees)))
        return crops


def _turn(degrees: float) -> complex:
    """The rotation by `degrees` clockwise on the screen."""
    return complex(math.cos(math.radians(degrees)), math.sin(math.radians(degrees)))
