"""Where faces may be, in the order in which the network looks there."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from fkp_edge.core.geometry import Crop

__all__ = ["MOST_LOOKED_AT", "Candidate", "Proposals"]

MOST_LOOKED_AT = 5
"""Proposals that are looked at in one frame, and places of a search that are looked at again: bound a frame's time."""
MOST_KEPT = 60
"""New proposals of one search that are kept; noise may give hundreds."""
MOST_PLACES = 120
"""Places that are remembered."""
REMEMBERED = 20
"""Searches for which a place without a face is remembered."""


@dataclass(slots=True)
class Candidate:
    """A proposal that is being looked at."""

    place: Crop
    """As it was proposed."""
    crop: Crop
    """Where to look next."""
    looks: int = 0
    """How often it was looked at."""


@dataclass(slots=True)
class _Place:
    """Where no face was."""

    crop: Crop
    looked: int
    """Number of the search in which it was looked at last."""


class Proposals:
    """The proposals of the last search that were not looked at yet.

    However many a search gives, each is looked at: what is no face in the picture must not hide what is one. Places
    where no face was come last, those that were looked at longest ago first, and a few of them a search: what stands
    in the picture for hours costs no more than that.
    """

    def __init__(self) -> None:
        self._waiting: deque[Candidate] = deque()
        self._places: list[_Place] = []
        self._searches = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, crops: Iterable[Crop]) -> None:
        """Takes what a search proposes, the most likely first, in place of what is left of the one before."""
        self._searches += 1
        self._places = [p for p in self._places if self._searches - p.looked <= REMEMBERED][-MOST_PLACES:]
        new: list[Candidate] = []
        known: list[tuple[int, Candidate]] = []
        for crop in crops:
            candidate = Candidate(crop, crop)
            if place := self._place(crop):
                known.append((place.looked, candidate))
            elif len(new) < MOST_KEPT:
                new.append(candidate)
        known.sort(key=lambda pair: pair[0])
        self._waiting = deque([*new, *(candidate for _, candidate in known[:MOST_LOOKED_AT])])

    def next(self) -> Candidate | None:
        """The next one to look at; None where all were."""
        return self._waiting.popleft() if self._waiting else None

    def put_back(self, candidate: Candidate) -> None:
        """Takes one back that has to be looked at again: it is the next."""
        self._waiting.appendleft(candidate)

    def no_face(self, candidate: Candidate) -> None:
        """Remembers that no face is where `candidate` was proposed."""
        place = self._place(candidate.place)
        if place is None:
            self._places.append(_Place(candidate.place, self._searches))
        else:
            place.looked = self._searches

    def drop(self) -> None:
        """Drops what waits."""
        self._waiting.clear()

    def forget(self) -> None:
        """Drops what waits, and what is known of places: the picture is another one."""
        self._waiting.clear()
        self._places.clear()

    def _place(self, crop: Crop) -> _Place | None:
        return next((place for place in self._places if _is_same(place.crop, crop)), None)


def _is_same(a: Crop, b: Crop) -> bool:
    """Whether two proposals are one place: searches of two frames differ by noise."""
    side = max(a.side, b.side)
    turn = abs(math.remainder(a.roll - b.roll, 2 * math.pi))
    near = abs(a.x - b.x) < 0.2 * side and abs(a.y - b.y) < 0.2 * side
    return near and 0.8 * side < min(a.side, b.side) and turn < math.radians(15)
