"""The bundled demonstration: a public-domain portrait moved along a known path, as a camera would see it."""

from __future__ import annotations

import bisect
import math

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop, crop_from_track
from fkp_edge.core.keypoints import FKP15, Points
from fkp_edge.core.observation import Frame
from fkp_edge.data.pictures import portrait, portrait_points
from fkp_edge.device.sources.base import Pace

__all__ = ["DemoSource"]

SIZE = (640, 480)
RATE = 30.0
NOISE = 2.5
"""Standard deviation of the added sensor noise, grey levels."""

# time s, x and y of the face's middle, side of its crop (all frame pixels), roll degrees. Between two rows the face
# moves smoothly; the last leg but two leaves the frame and comes back.
PATH = (
    (0.0, 320, 240, 190, 0),
    (1.0, 320, 240, 190, 0),
    (2.2, 170, 215, 190, 0),
    (3.6, 470, 265, 190, 0),
    (4.6, 320, 240, 280, 0),
    (5.6, 320, 240, 110, 0),
    (6.4, 320, 240, 190, 0),
    (7.2, 330, 240, 190, 25),
    (8.4, 310, 240, 190, -25),
    (9.0, 320, 240, 190, 0),
    (10.0, -150, 240, 190, 0),
    (10.7, -150, 240, 190, 0),
    (11.7, 320, 240, 190, 0),
    (12.5, 320, 240, 190, 0),
)


class DemoSource:
    """Frames of the moving portrait with its true points, at 30 a second."""

    name = "demo"

    def __init__(self, *, pace: bool = True) -> None:
        """With `pace` frames come at 30 a second, as from a camera; without, as fast as they are read."""
        self.live = pace
        grey = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)
        self._portrait: NDArray[np.uint8] = np.asarray(grey, np.uint8)
        self._points = portrait_points()
        self._home = crop_from_track(self._points, FKP15.mean_shape)
        rng = np.random.default_rng(0)
        self._noise = rng.normal(0, NOISE, (SIZE[1] + 64, SIZE[0] + 64)).round().astype(np.int16)
        self._pace = Pace(RATE)
        self._next = 0
        self._closed = False

    def read(self) -> Frame | None:
        """The next frame; None after 12.5 s."""
        if self._next / RATE > PATH[-1][0] or self._closed:
            return None
        frame = self.frame(self._next, self._pace.due_ns(self._next, wait=self.live))
        self._next += 1
        return frame

    def frame(self, index: int, captured_ns: int) -> Frame:
        """Frame `index` of the path: the same index gives the same pixels."""
        crop = crop_at(index / RATE)
        zoom = crop.side / self._home.side
        a, b = zoom * math.cos(crop.roll - self._home.roll), zoom * math.sin(crop.roll - self._home.roll)
        x, y = self._home.x, self._home.y
        matrix = np.array([[a, -b, crop.x - a * x + b * y], [b, a, crop.y - b * x - a * y]])
        grey = cv2.warpAffine(self._portrait, matrix, SIZE, borderMode=cv2.BORDER_CONSTANT, borderValue=(160,))
        top, left = index * 37 % 64, index * 23 % 64
        noise = self._noise[top : top + SIZE[1], left : left + SIZE[0]]
        noisy = cv2.add(grey, noise, dtype=cv2.CV_8U)
        truth: Points = (self._points @ matrix[:, :2].T + matrix[:, 2]).astype(np.float32)
        inside = 0 <= crop.x < SIZE[0] and 0 <= crop.y < SIZE[1]
        return Frame(np.asarray(noisy, np.uint8), captured_ns, index, truth if inside else None)

    def close(self) -> None:
        """Ends the frames."""
        self._closed = True


def crop_at(seconds: float) -> Crop:
    """Where the path has the face's crop `seconds` after its start."""
    leg = min(max(bisect.bisect_right([row[0] for row in PATH], seconds), 1), len(PATH) - 1)
    start, end = PATH[leg - 1], PATH[leg]
    share = min(max((seconds - start[0]) / (end[0] - start[0]), 0.0), 1.0)
    share = share * share * (3 - 2 * share)
    x, y, side, roll = (s + (e - s) * share for s, e in zip(start[1:], end[1:], strict=True))
    return Crop(x, y, side, math.radians(roll))
