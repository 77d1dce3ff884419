"""Searching beside the frame path."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from fkp_edge.device.search import InlineSearch, ThreadedSearch
from fkp_edge.errors import FkpEdgeError
from fkp_edge.observation import Frame

BOX = (1.0, 2.0, 30.0, 30.0)


def frame(captured_ns: int = 0) -> Frame:
    return Frame(np.zeros((8, 8), np.uint8), captured_ns, 0)


def wait_for(search: ThreadedSearch, at: Frame) -> object:
    """Looks until an answer is there."""
    for _ in range(1000):
        if (found := search.look(at)) is not None:
            return found
        threading.Event().wait(0.005)
    return None


def test_inline_answers_at_once_and_times_itself() -> None:
    search = InlineSearch(lambda grey: [BOX])
    assert search.look(frame()) == [BOX]
    assert search.count == 1


def test_threaded_never_keeps_the_caller_waiting() -> None:
    release = threading.Event()
    search = ThreadedSearch(lambda grey: (release.wait(5), [BOX])[1])
    assert [search.look(frame()) for _ in range(3)] == [None, None, None]
    assert search.count == 1
    release.set()
    assert wait_for(search, frame()) == [BOX]
    search.close()


def test_threaded_drops_an_answer_that_is_stale() -> None:
    done = threading.Event()
    search = ThreadedSearch(lambda grey: (done.set(), [BOX])[1])
    search.look(frame(0))
    assert done.wait(5)
    while search._busy:
        threading.Event().wait(0.001)
    assert search.look(frame(2_000_000_000)) is None
    search.close()


def test_an_error_in_the_thread_reaches_the_frame_path() -> None:
    def broken(grey: np.ndarray) -> list:
        raise ValueError("cascade gone")

    search = ThreadedSearch(broken)
    with pytest.raises(FkpEdgeError, match="the face search failed: cascade gone"):
        wait_for(search, frame())
    search.close()


def test_closing_does_not_wait_for_a_search_that_takes_long(caplog: pytest.LogCaptureFixture) -> None:
    begun, release = threading.Event(), threading.Event()
    search = ThreadedSearch(lambda grey: (begun.set(), release.wait(20), [])[2])
    search.look(frame())
    assert begun.wait(20)
    search.close()
    assert "a search still goes on after 0.25 s" in caplog.text
    release.set()
    search._thread.join(20)
    assert not search._thread.is_alive()


def test_closing_twice_ends_the_thread() -> None:
    search = ThreadedSearch(lambda grey: [])
    search.close()
    search.close()
    assert "search" not in [thread.name for thread in threading.enumerate()]
