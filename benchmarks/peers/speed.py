"""Times of one run as medians and ratios, on the frames that every tracking peer tracked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Clocks = NDArray[np.int64]
"""(rounds, frames), nanoseconds."""


def tracked_frames(seen: Mapping[str, NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Frames (N,) in which, and before which, each of `seen` (peer -> (N,) has a face) had a face."""
    everywhere = np.logical_and.reduce(list(seen.values()))
    before = np.concatenate([[False], everywhere[:-1]])
    return np.asarray(everywhere & before)


def medians_ms(clocks: Clocks, frames: NDArray[np.bool_]) -> float:
    """Median over rounds and those frames, milliseconds."""
    return round(float(np.median(clocks[:, frames])) / 1e6, 3)


def ratio(theirs: Clocks, ours: Clocks, frames: NDArray[np.bool_]) -> dict[str, float]:
    """How many times longer they take: the median over rounds, with the lowest and the highest round."""
    rounds = np.median(theirs[:, frames], axis=1) / np.median(ours[:, frames], axis=1)
    return {
        "median": round(float(np.median(rounds)), 2),
        "lowest": round(float(rounds.min()), 2),
        "highest": round(float(rounds.max()), 2),
    }


def describe(
    wall: Mapping[str, Clocks], cpu: Mapping[str, Clocks], frames: NDArray[np.bool_], base: str
) -> dict[str, dict[str, Any]]:
    """A row a peer: wall and CPU milliseconds a frame, and how many times those of `base`."""
    return {
        name: {
            "wall_ms": medians_ms(wall[name], frames),
            "cpu_ms": medians_ms(cpu[name], frames),
            "wall_ratio": ratio(wall[name], wall[base], frames),
            "cpu_ratio": ratio(cpu[name], cpu[base], frames),
        }
        for name in wall
    }


def joined(parts: Sequence[Clocks]) -> Clocks:
    """The clocks of several videos as those of one: rounds stay rounds."""
    return np.concatenate(list(parts), axis=1)
