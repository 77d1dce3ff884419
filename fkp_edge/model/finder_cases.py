"""Golden cases of a finder: a frame and what each stage made of it when the model file was written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["FinderCase", "finder_arrays", "read_finder_cases"]

RAW = ("fine_heat", "fine_shape", "coarse_heat", "coarse_shape")


@dataclass(frozen=True, eq=False)
class FinderCase:
    """One frame and what each stage made of it."""

    frame: NDArray[np.uint8]
    """(H, W)."""
    pixels: NDArray[np.uint8]
    """(128, 160): `letterbox` of the frame."""
    raw: tuple[NDArray[Any], ...]
    """The maps as the network gives them, in its own type."""
    proposals: NDArray[np.float32]
    """(N, 5): x, y, side, roll in radians and score of each proposal, frame pixels, the best first."""


def finder_arrays(cases: tuple[FinderCase, ...]) -> dict[str, NDArray[Any]]:
    """The arrays that hold `cases`, by the names that `read_finder_cases` reads."""
    arrays: dict[str, NDArray[Any]] = {"count": np.array(len(cases))}
    for i, case in enumerate(cases):
        arrays |= {f"frame{i}": case.frame, f"pixels{i}": case.pixels, f"proposals{i}": case.proposals}
        arrays |= {f"{name}{i}": array for name, array in zip(RAW, case.raw, strict=True)}
    return arrays


def read_finder_cases(arrays: Mapping[str, NDArray[Any]]) -> tuple[FinderCase, ...]:
    """The cases in `arrays`; KeyError where one is missing."""
    return tuple(
        FinderCase(
            frame=arrays[f"frame{i}"],
            pixels=arrays[f"pixels{i}"],
            raw=tuple(arrays[f"{name}{i}"] for name in RAW),
            proposals=arrays[f"proposals{i}"],
        )
        for i in range(int(arrays["count"]))
    )
