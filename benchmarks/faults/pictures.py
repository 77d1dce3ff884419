"""What the broken camera shows, as JPEGs: scenes with and without faces, and what damages a picture on its way."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from fkp_edge.device.sources import DemoSource

__all__ = ["DAMAGES", "LARGEST", "draw_scenes"]

WELL = (*range(36, 108), *range(107, 35, -1))
"""Frames of the demo in which the face moves to and fro inside the frame, at 30 a second."""
LARGEST = (1280, 720)
"""Of all scenes, width and height."""
Grey = Any


def _jpeg(grey: Grey) -> bytes:
    return cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 80])[1].tobytes()


def _four(grey: Grey) -> Grey:
    """Four faces in a frame of the same size."""
    half = cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    return np.vstack([np.hstack([half, half[:, ::-1]]), np.hstack([half[:, ::-1], half])])


def draw_scenes(seed: int) -> dict[str, list[bytes]]:
    """Pictures of each scene, in the order in which they follow each other; `well` is the one between faults."""
    rng = np.random.default_rng(seed)
    demo = DemoSource(pace=False)
    greys = {i: demo.frame(i, 0).grey for i in WELL}
    empty = cv2.GaussianBlur(rng.integers(60, 200, (480, 640)).astype(np.uint8), (0, 0), 9)
    return {
        "well": [_jpeg(greys[i]) for i in WELL],
        "many faces": [_jpeg(_four(greys[i])) for i in WELL[::4]],
        "no face": [_jpeg(empty)],
        "black": [_jpeg(np.zeros((480, 640), np.uint8))],
        "overexposed": [_jpeg(np.clip(greys[i].astype(np.int16) * 3 + 90, 0, 255).astype(np.uint8)) for i in WELL[::4]],
        "noise": [_jpeg(rng.integers(0, 256, (480, 640), np.uint8)) for _ in range(4)],
        "small frames": [_jpeg(cv2.resize(greys[i], (320, 240))) for i in WELL[::4]],
        "large frames": [_jpeg(cv2.resize(greys[i], LARGEST)) for i in WELL[::4]],
    }


def _cut(jpeg: bytes, rng: random.Random) -> bytes:
    return jpeg[: rng.randrange(2, len(jpeg))]


def _flip(jpeg: bytes, rng: random.Random) -> bytes:
    data = bytearray(jpeg)
    for _ in range(rng.randrange(1, 200)):
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


def _garbage(jpeg: bytes, rng: random.Random) -> bytes:
    return rng.randbytes(rng.randrange(len(jpeg)))


DAMAGES: dict[str, Callable[[bytes, random.Random], bytes]] = {
    "truncated pictures": _cut,
    "damaged pictures": _flip,
    "garbage for pictures": _garbage,
}
