"""Searching beside the frame path."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import Crop, crop_from_track
from fkp_edge.core.keypoints import FKP15
from fkp_edge.core.observation import Frame
from fkp_edge.core.settings import parse_settings
from fkp_edge.device.detection import search as searches
from fkp_edge.device.detection.search import (
    InlineSearch,
    SearchSettings,
    ThreadedSearch,
    cheaper,
    check_search,
    open_search,
)
from fkp_edge.device.timing import StageTimes
from fkp_edge.errors import FkpEdgeError, InputError, MissingPartError

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


def test_each_answer_begins_the_next_search_and_is_given_once() -> None:
    boxes = iter([[BOX], []])
    search = ThreadedSearch(lambda grey: next(boxes))
    assert wait_for(search, frame()) == [BOX]
    assert wait_for(search, frame()) == []
    assert search.count == 2
    search.close()


class Clock:
    """A clock that stands until it is told to go on."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def searched(took_s: float, looked_s: Sequence[float]) -> list[object]:
    """What looks at frames of these times give, where a search takes `took_s` and is done before the second look."""
    clock, idle = Clock(), threading.Event()

    def detect(grey: np.ndarray) -> list:
        clock.now_s += took_s
        return [BOX]

    search, answers = ThreadedSearch(detect, clock=clock), []
    for at_s in looked_s:
        answers.append(search.look(frame(round(at_s * 1e9))))
        while search._busy:
            idle.wait(0.001)
    search.close()
    return answers


def test_after_a_search_it_rests_by_the_time_of_the_core_that_it_used() -> None:
    clock, idle = Clock(), threading.Event()

    def detect(grey: np.ndarray) -> list:
        end = time.thread_time() + 0.02
        while time.thread_time() < end:
            pass
        return []

    search = ThreadedSearch(detect, cpu_share=0.01, clock=clock)
    counts = []
    for now_s in (0.0, 1.0, 1.5, 1000.0):  # 99 times 0.02 s, for each of OpenCV's threads
        clock.now_s = now_s
        search.look(frame())
        counts.append(search.count)
        while search._busy:
            idle.wait(0.001)
    search.close()
    assert counts == [1, 1, 1, 2]


def test_a_search_notes_what_it_took() -> None:
    clock, times = Clock(), StageTimes()
    clock.now_s = 100.0

    def detect(grey: np.ndarray) -> list:
        clock.now_s += 4
        return []

    search = ThreadedSearch(detect, times, clock=clock)
    wait_for(search, frame())
    search.close()
    assert times.newest_ns("search")[0] == 4_000_000_000


@pytest.mark.parametrize(("later_s", "moved"), [(0.1, False), (0.6, True)])
def test_a_slow_searchs_proposals_are_where_the_newest_frame_has_them(
    demo_frames: list[Frame], later_s: float, moved: bool
) -> None:
    crop = crop_from_track(demo_frames[0].truth, FKP15.mean_shape)
    shifted = np.roll(demo_frames[0].grey, 60, axis=1)
    release = threading.Event()
    search = ThreadedSearch(lambda grey: (release.wait(20), [crop])[1])
    first_ns = 10**12
    newest = Frame(shifted, first_ns + round(later_s * 1e9), 1)
    assert search.look(Frame(demo_frames[0].grey, first_ns, 0)) is None
    assert search.look(newest) is None
    release.set()
    (found,) = wait_for(search, newest)
    search.close()
    assert found.x == pytest.approx(crop.x + 60 * moved, abs=10)


def test_an_answer_in_the_newest_frame_is_as_fresh_as_that(demo_frames: list[Frame]) -> None:
    release = threading.Event()
    search = ThreadedSearch(lambda grey: (release.wait(20), [BOX])[1], clock=Clock())
    for at_s in (0.0, 0.03, 30.0):
        assert search.look(frame(round(at_s * 1e9))) is None
    release.set()
    assert wait_for(search, frame(round(30.03 * 1e9))) == [BOX]
    search.close()


def test_an_answer_counts_however_long_its_search_took() -> None:
    assert searched(4.0, [0.0, 4.2]) == [None, [BOX]]


def test_an_answer_counts_however_rarely_frames_come() -> None:
    assert searched(0.1, [0.0, 3.0]) == [None, [BOX]]


def test_an_answer_that_nobody_asked_for_while_a_face_was_followed_is_forgotten() -> None:
    assert searched(0.1, [0.0, 0.03, 0.06, 60.0]) == [None, [BOX], None, None]


def test_a_search_that_cannot_keep_up_is_said_once_with_what_to_set(caplog: pytest.LogCaptureFixture) -> None:
    searched(2.5, [3.0 * i for i in range(20)])
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "2.5 s" in caplog.text


@pytest.mark.parametrize(
    ("settings", "expected"),
    [({}, "longest_side = 320"), ({"longest_side": 320}, "tilted = false"), ({"tilted": False}, "min_size = 80")],
)
def test_what_to_set_is_what_is_not_set_yet(settings: dict[str, object], expected: str) -> None:
    assert expected in cheaper(SearchSettings(**settings))


def test_settings_are_named_and_stay_as_they_are() -> None:
    with pytest.raises(TypeError):
        SearchSettings("haar")
    with pytest.raises(AttributeError):
        SearchSettings().tilted = False


def missing(name: str = "") -> None:
    raise MissingPartError(f"{name or 'the cascade'} is not there")


@pytest.mark.parametrize(
    ("part", "needed_by"), [("find_cascade", {"haar", "both"}), ("shipped_model", {"finder", "both"})]
)
def test_a_part_that_is_missing_is_missed_by_who_needs_it(
    part: str, needed_by: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searches, part, missing)
    refused = set()
    for method in ("haar", "finder", "both"):
        try:
            check_search(SearchSettings(method=method))
        except MissingPartError:
            refused.add(method)
    assert refused == needed_by


@pytest.mark.parametrize("tilted", [True, False])
def test_tilted_faces_are_looked_for_where_that_is_wanted(demo_frames: list[Frame], tilted: bool) -> None:
    search = open_search(SearchSettings(method="haar", tilted=tilted), StageTimes(), live=False)
    height, width = demo_frames[0].grey.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), -30, 1.0)
    grey = cv2.warpAffine(demo_frames[0].grey, turn, (width, height), borderValue=160)
    found = [proposal for _ in range(4) for proposal in search.look(Frame(grey, 0, 0))]
    assert any(isinstance(proposal, Crop) and proposal.roll for proposal in found) is tilted


def test_opening_a_search_leaves_the_host_process_its_threads_of_opencv() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        open_search(SearchSettings(), StageTimes(), live=False).close()
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


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


LEFT = """
import time
import numpy as np
from fkp_edge.core.geometry import Crop, crop_from_track
from fkp_edge.core.keypoints import FKP15
from fkp_edge.core.observation import Frame
from fkp_edge.device.detection.search import SearchSettings, open_search
from fkp_edge.device.timing import StageTimes

settings = SearchSettings(method="haar", longest_side=4096, scale_factor=1.02, min_size=24)
search = open_search(settings, StageTimes(), live=True)
search.look(Frame(np.random.default_rng(0).integers(0, 256, (1080, 1920), np.uint8), 0, 0))
time.sleep(0.1)
search.close()
"""


def test_a_search_that_goes_on_at_the_end_does_not_abort_the_process() -> None:
    ended = subprocess.run([sys.executable, "-c", LEFT], capture_output=True, text=True, timeout=120, check=False)
    assert (ended.returncode, "terminate called" in ended.stderr) == (0, False)


@pytest.mark.parametrize("share", ["cpu_share", "second_share"])
def test_a_search_has_one_core_at_most(share: str):
    with pytest.raises(InputError, match=share):
        parse_settings({share: 1.5}, SearchSettings, "config.toml")
