"""When a search may begin, how old its answer may be, and whether searches keep up with the frames."""

from __future__ import annotations

import itertools
import logging
from collections import deque

__all__ = ["Pace"]

_log = logging.getLogger(__name__)

FRESH_S = 0.5
"""An answer may always be this old."""
TIMES = 2.0
"""It may be older where searches take longer: this many times what its own search took."""
SLOW_S = 1.0
"""A search that takes longer keeps a person waiting who has just come."""
SLOW_SEARCHES = 3
"""So many slow ones in a row, and it is said."""
LOOKS = 3
"""Newest looks from which the time between two of them is taken."""


class Pace:
    """The timing of searches beside the frames, by clocks that it is given. Not for two threads at once.

    An old answer is no wrong one: what it proposes is where the network looks first in the frame at hand, and it looks
    again from there. But an answer that nobody asked for while a face was followed is forgotten.
    """

    def __init__(self, *, cpu_share: float = 1.0, remedy: str = "") -> None:
        """Makes the timing of searches that have not begun.

        Args:
            cpu_share: of one core, on average: after each search it rests accordingly.
            remedy: what makes searches cheaper here, for the warning of one that cannot keep up.
        """
        self._cpu_share = cpu_share
        self._remedy = remedy
        self._rested_s = 0.0
        """Clock from which the next search may begin."""
        self._looks: deque[float] = deque(maxlen=LOOKS)
        """When the newest frames were taken for which somebody asked, seconds."""
        self._slow = 0
        """Slow searches in a row."""
        self._said = False

    def looked(self, taken_s: float) -> None:
        """Notes that somebody asks for faces in the frame taken at `taken_s`."""
        self._looks.append(taken_s)

    def may_begin(self, now_s: float) -> bool:
        """Whether the rest after the search before is over."""
        return now_s >= self._rested_s

    def ended(self, now_s: float, took_s: float, used_s: float) -> None:
        """Notes the end of a search that lasted `took_s` and used `used_s` of a core; says where it cannot keep up."""
        self._rested_s = now_s + used_s * (1 / self._cpu_share - 1)
        self._slow = self._slow + 1 if took_s > SLOW_S else 0
        if self._slow >= SLOW_SEARCHES and not self._said:
            self._said = True
            _log.warning("a search for faces takes %.1f s here: a face is found that late; %s", took_s, self._remedy)

    def counts(self, age_s: float, took_s: float) -> bool:
        """Whether an answer of a search that lasted `took_s`, from a frame `age_s` older than that at hand, counts."""
        return age_s <= max(FRESH_S, TIMES * took_s) + self._between_looks_s()

    def _between_looks_s(self) -> float:
        """The shortest time between two of the newest looks: a pause, in which nobody asked, is none."""
        looks = tuple(self._looks)
        return max(0.0, min((b - a for a, b in itertools.pairwise(looks)), default=0.0))
