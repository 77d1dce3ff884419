"""The demo's frames as a USB camera sends them: JPEG, and YUYV of a quarter of the size."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from fkp_edge.device.sources.demo import DemoSource

__all__ = ["write_pictures"]

FIRST, COUNT = 30, 45
"""Frames of the demo: the face goes from the middle to the left and towards the right, and is never out of sight."""
SMALL = (320, 240)
GREY = 128
"""Chroma of what has no colour."""


def write_pictures(folder: Path) -> None:
    """Writes `NN.jpg` and `NN.yuyv` into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    demo = DemoSource(pace=False)
    for number in range(COUNT):
        picture = demo.frame(FIRST + number, 0).grey
        coded, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))
        assert coded
        (folder / f"{number:02}.jpg").write_bytes(jpeg.tobytes())
        small = cv2.resize(picture, SMALL, interpolation=cv2.INTER_AREA)
        pairs = np.stack([small, np.full_like(small, GREY)], axis=-1)
        (folder / f"{number:02}.yuyv").write_bytes(pairs.tobytes())
