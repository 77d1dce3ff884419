"""Search with the finder: in the frame at hand, where Haar takes many frames; and both together."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.observation import Frame
from fkp_edge.device.detection.base import Proposal, Search
from fkp_edge.device.detection.finder import Finds, Part, likeliest, parts_of, propose_part
from fkp_edge.device.detection.threaded import ThreadedSearch
from fkp_edge.device.timing import StageTimes

__all__ = ["BothSearch", "FinderSearch", "Finds", "SecondOpinion"]

MAX_WHOLE = 5
"""Proposals of one look at the whole frame."""
MAX_PART = 2
"""The same of a look at a part of it."""
LARGE, SMALL = 2, 4
"""Parts along a side of the frame: one part a look."""
SMALL_EVERY = 5
"""One of so many parts is a small one, so that all large ones have their turn within five frames."""


class SecondOpinion(Search, Protocol):
    """The search that gives the second opinion."""

    @property
    def beside(self) -> bool:
        """Whether it searches in a thread of its own."""
        ...


class FinderSearch:
    """The finder looks at the whole frame, and at one part of it in turns, which it sees two or four times as large.

    On the frame path, so that a face is found in the frame in which it appears; while a face is followed in live video,
    in a thread, so that its points are not late. A picture that stands still is looked at rarely.
    """

    quick = True

    def __init__(self, finder: Finds, times: StageTimes | None = None, *, live: bool) -> None:
        """Takes over `finder`; `live` frames do not wait."""
        self._finder = finder
        self._times = times or StageTimes()
        self._live = live
        self._turns = [0, 0]
        """Looks at large parts, and at small ones."""
        self._one = threading.Lock()
        """The network is not for two threads at once."""
        self._inline = 0
        self._beside: ThreadedSearch | None = None
        self._stillness = Stillness()

    @property
    def count(self) -> int:
        """Looks begun."""
        return self._inline + (self._beside.count if self._beside else 0)

    def look(self, frame: Frame, *, following: bool = False) -> Sequence[Proposal] | None:
        """Where faces may be in `frame`; in one shortly before where a face is followed in live video."""
        if following and self._live:
            if self._beside is None:
                self._beside = ThreadedSearch(self._propose, self._times)
            return self._beside.look(frame)
        with self._times.stage("search"):
            if not self._stillness.is_worth_a_look(frame):
                return []
            self._inline += 1
            return self._propose(frame.grey, looks=self._stillness.looks)

    def _propose(self, grey: NDArray[np.uint8], *, looks: int = 0) -> list[Proposal]:
        """Proposals in `grey`, a picture that was looked at so often without a change."""
        with self._one:
            found = propose_part(self._finder, (0, 0, grey), MAX_WHOLE)
            if part := self._next_part(grey, looks):
                found += propose_part(self._finder, part, MAX_PART)
        return list(likeliest(found))

    def _next_part(self, grey: NDArray[np.uint8], looks: int) -> Part | None:
        """The part whose turn it is; small ones come more often where the large ones show nothing new."""
        small = looks > LARGE**2 or sum(self._turns) % SMALL_EVERY == SMALL_EVERY - 1
        parts = (small and parts_of(grey, SMALL)) or parts_of(grey, LARGE)
        if not parts:
            return None
        turn, self._turns[small] = self._turns[small], self._turns[small] + 1
        return parts[turn % len(parts)]

    def close(self) -> None:
        """Ends the thread and lets the network go; twice is fine."""
        if self._beside is not None:
            self._beside.close()
        with self._one:
            self._finder.close()


class Stillness:
    """Whether a frame shows what was looked at before: then nobody has come."""

    SIZE = (40, 30)
    """The frame is averaged to so many pixels: noise goes, a face stays."""
    CHANGED = 3
    """Grey levels by which one of them differs where something moved."""
    LOOKS = LARGE**2 + SMALL**2
    """After a change: all parts have had their turn."""
    AGAIN_S = 0.5
    """Between two looks at a picture that stands still: light may have made a face plain."""

    def __init__(self) -> None:
        self._seen: NDArray[np.int16] | None = None
        self.looks = 0
        """At the picture as it is now."""
        self._looked_ns = 0

    def is_worth_a_look(self, frame: Frame) -> bool:
        """Whether to look at `frame`; where so, that is taken to happen."""
        small = np.asarray(cv2.resize(frame.grey, self.SIZE, interpolation=cv2.INTER_AREA), np.int16)
        if self._seen is None or int(np.abs(small - self._seen).max()) >= self.CHANGED:
            self._seen, self.looks = small, 0
        elif self.looks >= self.LOOKS and 0 <= frame.captured_ns - self._looked_ns < self.AGAIN_S * 1e9:
            return False
        self.looks, self._looked_ns = self.looks + 1, frame.captured_ns
        return True


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
