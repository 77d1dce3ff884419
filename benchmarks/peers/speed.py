"""Times of one run as medians and ratios, on the frames that every tracking peer tracked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Clocks = NDArray[np.int64]
"""(rounds, frames), nanoseconds."""
Mask = NDArray[np.bool_]
"""(frames,)."""


def tracked_frames(seen: Sequence[Mask]) -> Mask:
    """Frames in which, and before which, each peer of `seen` had a face."""
    everywhere = np.logical_and.reduce(list(seen))
    before = np.concatenate([[False], everywhere[:-1]])
    return np.asarray(everywhere & before)


def median_ms(clocks: Clocks, frames: Mask) -> float:
    """Over rounds and those frames, milliseconds."""
    return round(float(np.median(clocks[:, frames])) / 1e6, 3)


def ratio(theirs: Clocks, ours: Clocks) -> dict[str, float]:
    """How many times longer they take: the median over rounds of their medians, with the lowest and highest round."""
    rounds = np.median(theirs, axis=1) / np.median(ours, axis=1)
    return {
        "median": round(float(np.median(rounds)), 2),
        "lowest": round(float(rounds.min()), 2),
        "highest": round(float(rounds.max()), 2),
    }


def describe(
    clocks: Mapping[str, Mapping[str, Clocks]], frames: Mapping[str, Mask], base: str
) -> dict[str, dict[str, Any]]:
    """A row a peer: milliseconds a frame, and how many times those of `base`.

    Args:
        clocks: `wall` and `cpu`: each peer's times.
        frames: which of them count, for each peer.
        base: the peer that the others are compared with.
    """
    return {
        name: {
            f"{clock}_{what}": value
            for clock, times in clocks.items()
            for what, value in (
                ("ms", median_ms(times[name], frames[name])),
                ("ratio", ratio(times[name][:, frames[name]], times[base][:, frames[base]])),
            )
        }
        for name in frames
    }
