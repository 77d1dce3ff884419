"""Steadies points: still ones stop trembling, moving ones lag little.

One-Euro: Casiez, Roussel and Vogel, CHI 2012.
"""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from fkp_edge.core.settings import Settings

__all__ = ["OneEuro", "SmoothingSettings"]


class SmoothingSettings(Settings, frozen=True, kw_only=True):
    """How much is smoothed; `fkp-edge tune` chooses for a recording of your own."""

    enabled: bool = True
    """False reports the points as the network gave them."""
    min_cutoff_hz: Annotated[float, Meta(ge=0.01, le=1000)] = 1.0
    """Of a face that stands still: lower trembles less."""
    beta: Annotated[float, Meta(ge=0, le=1000)] = 20.0
    """Hz by which a point's speed of one side of its face's box a second raises that: higher lags less."""


SPEED_CUTOFF_HZ = 1.0
"""Of the speed that decides how much is smoothed."""
JUMP = 0.35
"""A face that is this share of its side away from one frame to the next was not followed there: it is taken as is."""
LONGEST_GAP_S = 0.5
"""After a longer silence, or a clock that went back, nothing before counts."""


class OneEuro:
    """Smooths the rows of one face's array, each by its own speed."""

    def __init__(self, settings: SmoothingSettings) -> None:
        self._settings = settings
        self._values: NDArray[np.float64] | None = None
        self._speeds: NDArray[np.float64] | None = None
        self._at_ns = 0

    def __call__(self, values: NDArray[np.floating], at_ns: int, side: float) -> NDArray[np.float64]:
        """`values` (N, 2) in pixels at a time, smoothed.

        Args:
            values: the same N places as the last time.
            at_ns: when they were seen, any clock.
            side: of the face's box, pixels: what speeds are measured in.
        """
        new = values.astype(np.float64)
        dt = (at_ns - self._at_ns) / 1e9
        last, self._at_ns = self._values, at_ns
        if last is None or self._speeds is None or not 0 < dt <= LONGEST_GAP_S:
            return self._restart(new)
        step = new - last
        if math.hypot(*step.sum(0).tolist()) > JUMP * side * len(step):
            return self._restart(new)
        self._speeds += _share(SPEED_CUTOFF_HZ, dt) * (step / (dt * side) - self._speeds)
        speed = np.hypot(self._speeds[:, :1], self._speeds[:, 1:])
        turns = 2 * math.pi * dt * (self._settings.min_cutoff_hz + self._settings.beta * speed)
        self._values = last + step * (turns / (1 + turns))
        return self._values

    def _restart(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        self._values, self._speeds = values, np.zeros_like(values)
        return values


def _share(cutoff_hz: float, dt: float) -> float:
    """Of a new value in an exponential average with that cutoff."""
    turns = 2 * math.pi * cutoff_hz * dt
    return turns / (1 + turns)
