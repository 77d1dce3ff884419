"""The finder: this project's network that proposes crops of faces, turned or not, in a whole frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fkp_edge.errors import InputError
from fkp_edge.model.finder import FinderModel, open_finder
from fkp_edge.model.finder_maps import Proposal
from fkp_edge.model.shipped import FINDER, shipped_model

__all__ = ["Finder"]

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
