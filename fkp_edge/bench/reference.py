"""Work that never changes, timed all through a measurement: tells a slower machine from a slower program."""

from __future__ import annotations

import time

import cv2
import numpy as np

from fkp_edge.bench.records import Latency, latency

__all__ = ["Reference"]

TURN_S = 0.05


class Reference:
    """Blurs one picture of noise, 640x480, over and over, on one thread."""

    def __init__(self) -> None:
        self._picture = np.random.default_rng(0).integers(0, 256, (480, 640), np.uint8)
        self._durations: list[int] = []

    def work(self) -> None:
        """A turn."""
        end = time.perf_counter_ns() + round(TURN_S * 1e9)
        while (start := time.perf_counter_ns()) < end:
            cv2.GaussianBlur(self._picture, (9, 9), 2)
            self._durations.append(time.perf_counter_ns() - start)

    def figures(self) -> Latency:
        """Of all turns so far, at least one."""
        return latency(self._durations)
