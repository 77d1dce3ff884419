"""The finder: this project's network that proposes crops of faces, turned or not, in a whole frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop
from fkp_edge.errors import InputError
from fkp_edge.model.finder import FinderModel, open_finder
from fkp_edge.model.shipped import shipped_model

__all__ = ["PARTS", "Finder"]

MIN_SCORE = 0.3
"""Chosen on val/scenes: no face that is proposed scores less, and two thirds of what else is proposed do."""
PARTS = 4
"""Parts that `propose_part` looks at in turns: the frame's corners."""
PART_SHARE = 0.56
"""Width and height of a part, in those of the frame: parts overlap, so that no face lies between two."""


class Finder:
    """Proposes crops of faces; each still has to be verified by the keypoint network. Not for two threads at once."""

    def __init__(self, path: Path | None = None, *, threads: int = 1) -> None:
        """Opens the finder's model file `path`, by default the shipped one, on `threads` CPU threads.

        Raises:
            ModelFileError: the file is missing, damaged, or a keypoint network.
            MissingPartError: no TFLite runtime is installed.
        """
        self.path = path or shipped_model("finder-int8")
        self._model: FinderModel | None = open_finder(self.path, threads=threads)

    def propose(self, grey: NDArray[np.uint8], *, max_proposals: int = 5, min_score: float = MIN_SCORE) -> list[Crop]:
        """Crops in `grey` (H, W), its pixels, framed as the keypoint network's, the best first.

        Args:
            grey: a frame of any size.
            max_proposals: so many at most.
            min_score: of a proposal, 0 to 1.

        Raises:
            InputError: the finder is closed.
        """
        if self._model is None:
            raise InputError(f"{self!r} cannot look; expected an open one")
        found = self._model.propose(grey, most=max_proposals)
        return [proposal.crop for proposal in found if proposal.score >= min_score]

    def propose_part(self, grey: NDArray[np.uint8], turn: int, *, max_proposals: int = 5) -> list[Crop]:
        """The same in one of `PARTS` overlapping corners of `grey`, nearly twice as large: faces that are far away.

        Args:
            grey: (H, W).
            turn: any number; `PARTS` in a row see the whole frame.
            max_proposals: as for `propose`.
        """
        height, width = grey.shape
        wide, high = max(1, round(width * PART_SHARE)), max(1, round(height * PART_SHARE))
        left, top = (width - wide) * (turn % 2), (height - high) * (turn // 2 % 2)
        part = np.ascontiguousarray(grey[top : top + high, left : left + wide])
        found = self.propose(part, max_proposals=max_proposals)
        return [Crop(crop.x + left, crop.y + top, crop.side, crop.roll) for crop in found]

    def close(self) -> None:
        """Lets the network go; twice is fine."""
        self._model = None

    def __enter__(self) -> Finder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Finder {self.path.name}, {'closed' if self._model is None else 'open'}>"
