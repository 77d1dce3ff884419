"""Search with the finder: in the frame at hand, where Haar takes many frames; and both together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop
from fkp_edge.core.observation import Frame
from fkp_edge.device.detection.base import Proposal
from fkp_edge.device.detection.threaded import ThreadedSearch
from fkp_edge.device.timing import StageTimes
from fkp_edge.errors import MissingPartError

__all__ = ["BothSearch", "FinderSearch", "Finds", "SecondOpinion", "open_finder"]

STAGE = "finder"
MAX_WHOLE = 5
"""Proposals of one look at the whole frame."""
MAX_PART = 3
"""The same of a look at a part of it."""


class Finds(Protocol):
    """What a finder can do."""

    def propose(self, grey: NDArray[np.uint8], *, max_proposals: int = 5) -> list[Crop]:
        """Crops that may hold a face in `grey` (H, W), the best first."""
        ...

    def propose_part(self, grey: NDArray[np.uint8], turn: int, *, max_proposals: int = 5) -> list[Crop]:
        """The same at double scale in one part of `grey`; turns in a row see all of it."""
        ...

    def close(self) -> None:
        """Lets the network go; twice is fine."""
        ...


class SecondOpinion(Protocol):
    """The search that gives the second opinion."""

    @property
    def count(self) -> int:
        """Searches begun."""
        ...

    @property
    def beside(self) -> bool:
        """Whether it searches in a thread of its own."""
        ...

    def look(self, frame: Frame, *, following: bool = False) -> Sequence[Proposal] | None:
        """See `Search`."""
        ...

    def close(self) -> None:
        """See `Search`."""
        ...


def open_finder() -> Finds:
    """The shipped finder.

    Raises:
        MissingPartError: this version ships none.
    """
    raise MissingPartError('this version ships no finder; expected search.method "haar": --search haar')


class FinderSearch:
    """The finder looks at the whole frame, and in turns at a part of it, where it sees faces half as large.

    On the frame path, so that a face is found in the frame in which it appears; while a face is followed in live video,
    in a thread, so that its points are not late.
    """

    quick = True

    def __init__(self, finder: Finds, times: StageTimes | None = None, *, live: bool) -> None:
        """Takes over `finder`; `live` frames do not wait."""
        self._finder = finder
        self._times = times or StageTimes()
        self._live = live
        self._turn = 0
        self._one = threading.Lock()
        """The network is not for two threads at once."""
        self._inline = 0
        self._beside: ThreadedSearch | None = None

    @property
    def count(self) -> int:
        """Looks begun."""
        return self._inline + (self._beside.count if self._beside else 0)

    def look(self, frame: Frame, *, following: bool = False) -> Sequence[Proposal] | None:
        """Where faces may be in `frame`; in one shortly before where a face is followed in live video."""
        if following and self._live:
            if self._beside is None:
                self._beside = ThreadedSearch(self._propose, self._times, stage=STAGE)
            return self._beside.look(frame)
        self._inline += 1
        with self._times.stage(STAGE):
            return self._propose(frame.grey)

    def _propose(self, grey: NDArray[np.uint8]) -> list[Proposal]:
        with self._one:
            whole = self._finder.propose(grey, max_proposals=MAX_WHOLE)
            part = self._finder.propose_part(grey, self._turn, max_proposals=MAX_PART)
            self._turn += 1
        return [*whole, *part]

    def close(self) -> None:
        """Ends the thread and lets the network go; twice is fine."""
        if self._beside is not None:
            self._beside.close()
        with self._one:
            self._finder.close()


class BothSearch:
    """The finder, and Haar as the second opinion: what either proposes is looked at.

    Haar looks in its thread; in turn with the frames of a recording it looks as often as it would alone.
    """

    quick = True
    EVERY_S = 0.1
    """Between two searches of Haar that keep the frames waiting."""
    FOLLOWING_S = 1.0
    """The same while a face is followed."""

    def __init__(self, finder: FinderSearch, haar: SecondOpinion) -> None:
        """Takes over both."""
        self._finder = finder
        self._haar = haar
        self._haar_ns: int | None = None

    @property
    def count(self) -> int:
        """Looks of the finder and searches of Haar begun."""
        return self._finder.count + self._haar.count

    def look(self, frame: Frame, *, following: bool = False) -> Sequence[Proposal] | None:
        """Where faces may be: what the finder proposes in `frame`, and what Haar has found since the last look."""
        found = self._finder.look(frame, following=following)
        other = self._haar.look(frame, following=following) if self._is_due(frame, following=following) else None
        if found is None and other is None:
            return None
        return [*(found or ()), *(other or ())]

    def _is_due(self, frame: Frame, *, following: bool) -> bool:
        if self._haar.beside:
            return True
        every_ns = (self.FOLLOWING_S if following else self.EVERY_S) * 1e9
        if self._haar_ns is not None and 0 <= frame.captured_ns - self._haar_ns < every_ns:
            return False
        self._haar_ns = frame.captured_ns
        return True

    def close(self) -> None:
        """Ends both; twice is fine."""
        self._finder.close()
        self._haar.close()
