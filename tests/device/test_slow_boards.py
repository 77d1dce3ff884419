"""A search that takes far longer than a frame, as on a slow board: by a clock that the test moves."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from fkp_edge.core.geometry import box_around, crop_from_track
from fkp_edge.core.observation import Frame, State
from fkp_edge.device.detection.search import Proposal, ThreadedSearch
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.model.interpreter import KeypointModel

CLUTTER = [(10.0 + 50 * i, 5.0, 45.0, 45.0) for i in range(12)]
DEADLINE_S = 60
"""Of the test itself, where something hangs."""


class Board:
    """Searches in a thread, each of which takes `search_s` of a clock that stands until a frame comes."""

    def __init__(self, search_s: float, answers: Sequence[Proposal]) -> None:
        self._search_s = search_s
        self._answers = answers
        self._now_s = 0.0
        self._ends_s = float("inf")
        self._changed = threading.Condition()
        self.search = ThreadedSearch(self._detect, clock=lambda: self._now_s)

    def _detect(self, grey: np.ndarray) -> Sequence[Proposal]:
        with self._changed:
            self._ends_s = self._now_s + self._search_s
            self._changed.notify_all()
            assert self._changed.wait_for(lambda: self._now_s >= self._ends_s, DEADLINE_S)
        return self._answers

    def close(self) -> None:
        """Lets a search under way end."""
        with self._changed:
            self._now_s = float("inf")
            self._changed.notify_all()
        self.search.close()

    def first_seen_s(self, engine: Engine, frame: Frame, frame_s: float, frames: int) -> float:
        """When `frame`, shown every `frame_s` for `frames` times, is the first time one with a face."""
        for i in range(frames):
            self._go_on(i * frame_s)
            shown = replace(frame, captured_ns=round(i * frame_s * 1e9), sequence=i)
            if engine.process(shown).state is State.TRACKING:
                return i * frame_s
        return float("inf")

    def _go_on(self, to_s: float) -> None:
        """Moves the clock; a search that was begun begins before, and one that is over then ends."""
        idle = threading.Event()
        with self._changed:
            if self.search._busy:
                assert self._changed.wait_for(lambda: self._ends_s < float("inf"), DEADLINE_S)
            self._now_s = to_s
            self._changed.notify_all()
            ends = to_s >= self._ends_s
        while ends and self.search._busy:
            idle.wait(0.001)
        if ends:
            self._ends_s = float("inf")


@pytest.mark.parametrize(("search_s", "frame_s"), [(0.03, 0.033), (0.6, 0.033), (1.7, 0.2), (6.0, 0.5), (6.0, 8.0)])
@pytest.mark.parametrize("clutter", [[], CLUTTER], ids=["alone", "in clutter"])
def test_a_face_that_stands_still_is_found_by_the_first_search_whatever_it_takes(
    model: KeypointModel, demo_frames: list[Frame], search_s: float, frame_s: float, clutter: list[Proposal]
) -> None:
    frame = demo_frames[0]
    face = box_around(crop_from_track(frame.truth, model.mean_shape))
    board = Board(search_s, [*clutter, face])
    seen_s = board.first_seen_s(Engine(model, board.search), frame, frame_s, 60 + 2 * round(search_s / frame_s))
    board.close()
    assert board.search.count <= 2
    assert seen_s <= search_s + 4 * frame_s
