"""The finder: this project's network that proposes crops of faces, turned or not, in a whole frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop, box_around, iou
from fkp_edge.errors import InputError
from fkp_edge.model.finder import FinderModel, open_finder
from fkp_edge.model.finder_maps import Proposal
from fkp_edge.model.shipped import FINDER, shipped_model

__all__ = ["Finder", "Finds", "Part", "likeliest", "parts_of", "propose_everywhere", "propose_part"]

MIN_SCORE = 0.3
"""Chosen on val/scenes: no face that is proposed scores less, and two thirds of what else is proposed do."""


class Finder:
    """Proposes crops of faces; each still has to be verified by the keypoint network. Not for two threads at once."""

    def __init__(self, path: Path | None = None, *, threads: int = 1) -> None:
        """Opens the finder's model file `path`, by default the shipped one, on `threads` CPU threads.

        Raises:
            ModelFileError: the file is missing, damaged, or a keypoint network.
            MissingPartError: no TFLite runtime is installed.
        """
        self.path = path or shipped_model(FINDER)
        self._model: FinderModel | None = open_finder(self.path, threads=threads)

    def propose(
        self, grey: NDArray[np.uint8], *, max_proposals: int = 5, min_score: float = MIN_SCORE
    ) -> list[Proposal]:
        """Crops with their scores in `grey` (H, W), its pixels, framed as the keypoint network's, the best first.

        Args:
            grey: a frame of any size.
            max_proposals: so many at most.
            min_score: of a proposal, 0 to 1.

        Raises:
            InputError: the finder is closed.
        """
        if self._model is None:
            raise InputError(f"{self!r} cannot look; expected an open one")
        return self._model.propose(grey, most=max_proposals, least=min_score)

    def close(self) -> None:
        """Lets the network go; twice is fine."""
        self._model = None

    def __enter__(self) -> Finder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Finder {self.path.name}, {'closed' if self._model is None else 'open'}>"


Part = tuple[int, int, NDArray[np.uint8]]
"""Left and top of a part of a picture, and its pixels."""

MAX_WHOLE, MAX_PART = 8, 4
"""Proposals of the whole picture, and of each part."""
SMALLEST_PART = 160
"""Longer side, pixels, below which a part shows the finder nothing that the larger one did not."""
MAX_DIVISIONS = 8
"""Parts along a side at most."""
OVERLAP = 0.25
"""Of a part's side, shared with its neighbour: a face between two is whole in one."""
SAME = 0.5
"""Intersection over union from which two proposals are of one face."""


class Finds(Protocol):
    """What a finder can do."""

    def propose(self, grey: NDArray[np.uint8], *, max_proposals: int = 5) -> list[Proposal]:
        """Crops with their scores that may hold a face in `grey` (H, W), the best first."""
        ...

    def close(self) -> None:
        """Lets the network go; twice is fine."""
        ...


def propose_everywhere(finder: Finds, grey: NDArray[np.uint8], *, border: float = 0.0) -> list[Crop]:
    """Crops that may hold a face in `grey` (H, W), the likeliest first, wherever it was seen.

    Args:
        finder: proposes them.
        grey: a picture of any size.
        border: share of the shorter side by which its border is repeated around the whole, for faces that fill it.
    """
    by = round(border * min(grey.shape))
    wide = np.asarray(cv2.copyMakeBorder(grey, by, by, by, by, cv2.BORDER_REPLICATE), np.uint8)
    found = propose_part(finder, (-by, -by, wide), MAX_WHOLE)
    divisions = 2
    while divisions <= MAX_DIVISIONS:
        for part in parts_of(grey, divisions):
            found += propose_part(finder, part, MAX_PART)
        divisions *= 2
    return likeliest(found)


def likeliest(proposals: Iterable[Proposal]) -> list[Crop]:
    """The crops of `proposals`, the likeliest first, each face once."""
    kept: list[Crop] = []
    for proposal in sorted(proposals, key=lambda proposal: -proposal.score):
        if all(iou(box_around(proposal.crop), box_around(crop)) < SAME for crop in kept):
            kept.append(proposal.crop)
    return kept


def propose_part(finder: Finds, part: Part, max_proposals: int) -> list[Proposal]:
    """What may hold a face in `part` of a picture, in the pixels of the whole."""
    left, top, pixels = part
    found = finder.propose(np.ascontiguousarray(pixels), max_proposals=max_proposals)
    return [Proposal(replace(p.crop, x=p.crop.x + left, y=p.crop.y + top), p.score) for p in found]


def parts_of(grey: NDArray[np.uint8], divisions: int) -> list[Part]:
    """Overlapping parts of `grey` (H, W), so many along each side; none where the finder sees them no larger."""
    height, width = (max(1, round(side * (1 + OVERLAP) / divisions)) for side in grey.shape)
    if max(height, width) < SMALLEST_PART:
        return []
    parts = []
    for row in range(divisions):
        for column in range(divisions):
            top = round((grey.shape[0] - height) * row / (divisions - 1))
            left = round((grey.shape[1] - width) * column / (divisions - 1))
            parts.append((left, top, grey[top : top + height, left : left + width]))
    return parts
