"""Where faces may be, in the order in which the network looks there."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop, extract
from fkp_edge.device.detection.base import coarse_pattern

__all__ = ["MAX_LOOKED_AT", "Candidate", "Proposals"]

MAX_LOOKED_AT = 5
"""Places of a search that are looked at again: bounds its time."""
MAX_KEPT = 60
"""New proposals of one search that are kept; noise may give hundreds."""
MAX_PLACES = 80
"""Places that are remembered."""
REMEMBERED_S = 10.0
"""How long a place is remembered that nobody proposed again."""
AGAIN_S = 0.1
"""After that time a place without a face may be looked at again; twice as long after each look, up to the next."""
LONGEST_AGAIN_S = 0.4
"""Where the picture has changed since."""
LONGEST_ALIKE_S = 6.4
"""Where it has not: the network would say the same."""
ALIKE = 0.85
"""Correlation of the coarse patterns from which a proposal shows what was looked at before, there or elsewhere."""


@dataclass(slots=True)
class Candidate:
    """A proposal that is being looked at."""

    place: Crop
    """As it was proposed."""
    crop: Crop
    """Where to look next."""
    pattern: NDArray[np.float32]
    """What it looks like, see `coarse_pattern`."""
    looks: int = 0
    """How often it was looked at."""


@dataclass(slots=True)
class _Place:
    """Where no face was."""

    crop: Crop
    pattern: NDArray[np.float32]
    """What was there instead."""
    looked_ns: int
    """When it was looked at last."""
    proposed_ns: int
    """When it was proposed last."""
    looks: int = 1
    """How often it was looked at."""

    def is_due(self, pattern: NDArray[np.float32], at_ns: int) -> bool:
        """Whether it may be looked at again, now that `pattern` is there."""
        longest_s = LONGEST_ALIKE_S if self.shows(pattern) else LONGEST_AGAIN_S
        wait_s = min(AGAIN_S * 2 ** (self.looks - 1), longest_s)
        return not 0 <= at_ns - self.looked_ns < wait_s * 1e9

    def shows(self, pattern: NDArray[np.float32]) -> bool:
        """Whether `pattern` is what was there."""
        return float(np.vdot(self.pattern, pattern)) >= ALIKE


class Proposals:
    """The proposals of the last search that were not looked at yet.

    However many a search gives, each is looked at: what is no face in the picture must not hide what is one. Places
    where no face was come last, those that were looked at longest ago first, and a few of them a search; and what was
    refused is known again as long as it looks the same, where it is or moved on: what stands in the picture for hours
    costs next to nothing, however often it is proposed.
    """

    def __init__(self) -> None:
        self._waiting: deque[Candidate] = deque()
        self._places: list[_Place] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, crops: Iterable[Crop], grey: NDArray[np.uint8], at_ns: int) -> None:
        """Takes what a search proposes in `grey` at `at_ns`, the likeliest first; drops what still waits."""
        kept_ns = REMEMBERED_S * 1e9
        self._places = [p for p in self._places if 0 <= at_ns - p.proposed_ns <= kept_ns][-MAX_PLACES:]
        new: list[Candidate] = []
        known: list[tuple[int, Candidate]] = []
        for crop in crops:
            candidate = Candidate(crop, crop, coarse_pattern(extract(grey, crop)))
            place = self._place(candidate)
            if place is None:
                new.append(candidate)
                continue
            if place.is_due(candidate.pattern, at_ns):
                known.append((place.looked_ns, candidate))
            place.crop, place.proposed_ns = crop, at_ns
        known.sort(key=lambda pair: pair[0])
        self._waiting = deque([*new[:MAX_KEPT], *(candidate for _, candidate in known[:MAX_LOOKED_AT])])

    def next(self) -> Candidate | None:
        """The next one to look at; None where all were."""
        return self._waiting.popleft() if self._waiting else None

    def put_back(self, candidate: Candidate) -> None:
        """Takes one back that has to be looked at again: it is the next."""
        self._waiting.appendleft(candidate)

    def no_face(self, candidate: Candidate, at_ns: int) -> None:
        """Remembers that at `at_ns` no face was where `candidate` was proposed."""
        place = self._place(candidate)
        if place is None:
            self._places.append(_Place(candidate.place, candidate.pattern, at_ns, at_ns))
        else:
            looks = place.looks + 1 if place.shows(candidate.pattern) else 1
            place.pattern, place.looked_ns, place.looks = candidate.pattern, at_ns, looks

    def drop(self) -> None:
        """Drops what waits."""
        self._waiting.clear()

    def forget(self) -> None:
        """Drops what waits, and what is known of places: the picture is another one."""
        self._waiting.clear()
        self._places.clear()

    def _place(self, candidate: Candidate) -> _Place | None:
        """The place that shows the same thing, moved with the picture or not; else the one in the same spot."""
        if not self._places:
            return None
        alike = np.stack([p.pattern for p in self._places]).reshape(len(self._places), -1) @ candidate.pattern.ravel()
        best = int(alike.argmax())
        if alike[best] >= ALIKE and _is_alike(self._places[best].crop, candidate.place):
            return self._places[best]
        return next((place for place in self._places if _is_same(place.crop, candidate.place)), None)


def _is_same(a: Crop, b: Crop) -> bool:
    """Whether two proposals are one place: searches of two frames differ by noise."""
    side = max(a.side, b.side)
    return abs(a.x - b.x) < 0.2 * side and abs(a.y - b.y) < 0.2 * side and _is_alike(a, b)


def _is_alike(a: Crop, b: Crop) -> bool:
    """Whether two proposals are of one size and tilt."""
    turn = abs(math.remainder(a.roll - b.roll, 2 * math.pi))
    return 0.8 * max(a.side, b.side) < min(a.side, b.side) and turn < math.radians(15)
