"""Where faces may be, in the order in which the network looks there."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from fkp_edge.core.geometry import Crop

__all__ = ["MAX_LOOKED_AT", "Candidate", "Proposals"]

MAX_LOOKED_AT = 5
"""Proposals that are looked at in one frame, and places of a search that are looked at again: bound a frame's time."""
MAX_KEPT = 60
"""New proposals of one search that are kept; noise may give hundreds."""
MAX_PLACES = 80
"""Places that are remembered."""
REMEMBERED_S = 10.0
"""How long a place is remembered at which nobody looked again."""
AGAIN_S = 0.1
"""After that time a place without a face may be looked at again; twice as long after each look, up to the next."""
LONGEST_AGAIN_S = 0.4


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
    looked_ns: int
    """When it was looked at last."""
    looks: int = 1
    """How often."""

    def is_due(self, at_ns: int) -> bool:
        """Whether it may be looked at again."""
        wait_s = min(AGAIN_S * 2 ** (self.looks - 1), LONGEST_AGAIN_S)
        return not 0 <= at_ns - self.looked_ns < wait_s * 1e9


class Proposals:
    """The proposals of the last search that were not looked at yet.

    However many a search gives, each is looked at: what is no face in the picture must not hide what is one. Places
    where no face was come last, those that were looked at longest ago first, and a few of them a search: what stands
    in the picture for hours costs no more than that, however often it is proposed.
    """

    def __init__(self) -> None:
        self._waiting: deque[Candidate] = deque()
        self._places: list[_Place] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def take(self, crops: Iterable[Crop], at_ns: int) -> None:
        """Takes what a search proposes at `at_ns`, the likeliest first, in place of what is left of the one before."""
        kept_ns = REMEMBERED_S * 1e9
        self._places = [p for p in self._places if 0 <= at_ns - p.looked_ns <= kept_ns][-MAX_PLACES:]
        new: list[Candidate] = []
        known: list[tuple[int, Candidate]] = []
        for crop in crops:
            place = self._place(crop)
            if place is None:
                new.append(Candidate(crop, crop))
            elif place.is_due(at_ns):
                known.append((place.looked_ns, Candidate(crop, crop)))
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
        place = self._place(candidate.place)
        if place is None:
            self._places.append(_Place(candidate.place, at_ns))
        else:
            place.looked_ns, place.looks = at_ns, place.looks + 1

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
