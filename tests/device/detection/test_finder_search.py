"""The finder's search, alone and with Haar beside it, with a finder that proposes what it is told."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import Crop, crop_from_track
from fkp_edge.core.observation import Frame, State
from fkp_edge.device import image_detector
from fkp_edge.device.detection import search as searches
from fkp_edge.device.detection.finder import propose_everywhere
from fkp_edge.device.detection.finder_search import BothSearch, FinderSearch
from fkp_edge.device.detection.search import InlineSearch, Method, SearchSettings, ThreadedSearch, open_search
from fkp_edge.device.image_detector import ImageDetector, ImageSettings
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.engine import Engine, EngineSettings
from fkp_edge.errors import MissingPartError
from fkp_edge.model.finder_maps import Proposal
from fkp_edge.model.interpreter import KeypointModel

SHAPE = (480, 640)
FRAME_NS = 33_333_333
NOISE = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
SOMEWHERE = Crop(60, 60, 40)


class StubFinder:
    """Proposes the same crops in every frame that is not flat."""

    def __init__(self, crops: Sequence[Crop] = ()) -> None:
        self.crops = list(crops)
        self.threads: list[str] = []
        self.parts = 0
        self.closed = 0

    def propose(self, grey: np.ndarray, *, max_proposals: int = 5) -> list[Proposal]:
        if grey.shape != SHAPE:
            self.parts += 1
            return []
        self.threads.append(threading.current_thread().name)
        return [Proposal(crop, 0.9) for crop in self.crops[:max_proposals]] if grey.std() > 1 else []

    def close(self) -> None:
        self.closed += 1


def crop_of(frame: Frame, model: KeypointModel) -> Crop:
    return crop_from_track(frame.truth, model.mean_shape)


def shown(frame: Frame, number: int, *, empty: bool = False) -> Frame:
    grey = np.full_like(frame.grey, 128) if empty else frame.grey
    return replace(frame, grey=grey, captured_ns=number * FRAME_NS, sequence=number)


def test_a_face_is_tracked_in_the_frame_in_which_it_appears(model: KeypointModel, demo_frames: list[Frame]) -> None:
    frame = demo_frames[0]
    engine = Engine(model, FinderSearch(StubFinder([crop_of(frame, model)]), live=True))
    states = [engine.process(shown(frame, i, empty=i < 5)).state for i in range(6)]
    assert states == [State.SEARCHING] * 5 + [State.TRACKING]


def test_a_small_face_is_seen_in_one_part_of_the_frame_in_turns() -> None:
    grey = np.zeros(SHAPE, np.uint8)
    grey[300, 500] = 255
    search = FinderSearch(SeesDots(220), live=True)
    found = [search.look(Frame(grey, i * FRAME_NS, i)) for i in range(20)]
    assert {(crop.y, crop.x) for crops in found for crop in crops} == {(300, 500)}
    assert [] in found


def test_each_large_part_has_its_turn_within_five_frames_of_a_picture_in_motion() -> None:
    finder = SeesDots(450)
    search = FinderSearch(finder, live=True)
    found = []
    for i in range(20):
        grey = np.zeros(SHAPE, np.uint8)
        grey[:, i * 20 : i * 20 + 20] = 100
        grey[240, 320] = 255  # in the middle: in every large part
        found.append(search.look(Frame(grey, i * FRAME_NS, i)))
    sizes = [max(shape) for shape in finder.shapes]
    assert len(finder.shapes) == 2 * 20
    assert [bool(crops) for crops in found].count(True) >= 16
    assert min(sizes) < 220


def test_a_picture_that_stands_still_is_looked_at_rarely() -> None:
    grey = np.random.default_rng(0).integers(0, 256, SHAPE, np.uint8)
    search = FinderSearch(StubFinder(), live=True)
    for i in range(75):
        search.look(Frame(grey, i * FRAME_NS, i))
    still = search.count
    changed = grey.copy()
    changed[100:120, 200:220] = 255
    search.look(Frame(changed, 75 * FRAME_NS, 75))
    assert still <= 24
    assert search.count == still + 1


def test_a_wrong_proposal_in_every_frame_is_looked_at_now_and_then(
    model: KeypointModel, demo_frames: list[Frame]
) -> None:
    wrong = Crop(600, 440, 40)
    engine = Engine(model, FinderSearch(StubFinder([wrong]), live=True))
    for i in range(60):
        engine.process(shown(demo_frames[0], i))
    assert 0 < len(engine.times.newest_ns("infer")) <= 40


def test_one_more_face_is_looked_for_in_a_thread_so_that_the_first_is_not_late(
    model: KeypointModel, demo_frames: list[Frame]
) -> None:
    frame = demo_frames[0]
    finder = StubFinder([crop_of(frame, model)])
    search = FinderSearch(finder, live=True)
    engine = Engine(model, search, EngineSettings(max_faces=2))
    for i in range(30):
        engine.process(shown(frame, i))
    search.close()
    assert finder.threads[0] == threading.current_thread().name
    assert set(finder.threads[1:]) == {"search"}
    assert search.count <= 12
    assert finder.closed == 1


def test_a_recording_waits_for_the_finder(model: KeypointModel, demo_frames: list[Frame]) -> None:
    finder = StubFinder([crop_of(demo_frames[0], model)])
    engine = Engine(model, FinderSearch(finder, live=False), EngineSettings(max_faces=2))
    for i in range(12):
        engine.process(shown(demo_frames[0], i))
    assert set(finder.threads) == {threading.current_thread().name}


def test_both_give_what_either_proposes() -> None:
    frame = Frame(NOISE, 0, 0)
    box = (1.0, 2.0, 30.0, 30.0)
    search = BothSearch(FinderSearch(StubFinder([SOMEWHERE]), live=False), InlineSearch(lambda grey: [box]))
    assert search.look(frame) == [SOMEWHERE, box]
    assert search.look(replace(frame, captured_ns=FRAME_NS)) == [SOMEWHERE]  # Haar is not due yet
    assert search.count == 3


def test_both_do_not_wait_for_haar_in_live_video() -> None:
    release = threading.Event()
    haar = ThreadedSearch(lambda grey: (release.wait(20), [])[1])
    search = BothSearch(FinderSearch(StubFinder([SOMEWHERE]), live=True), haar)
    frame = Frame(NOISE, 0, 0)
    assert [search.look(frame) for _ in range(3)] == [[SOMEWHERE]] * 3
    assert haar.count == 1
    release.set()
    search.close()


@pytest.fixture
def with_finder(monkeypatch: pytest.MonkeyPatch) -> StubFinder:
    """As if a finder shipped."""
    finder = StubFinder()
    monkeypatch.setattr(searches, "Finder", lambda: finder)
    return finder


@pytest.mark.parametrize(
    ("method", "live", "kind"),
    [
        ("haar", True, ThreadedSearch),
        ("haar", False, InlineSearch),
        ("finder", True, FinderSearch),
        ("both", False, BothSearch),
        ("both", True, BothSearch),
    ],
)
@pytest.mark.usefixtures("with_finder")
def test_the_method_says_what_searches(method: Method, live: bool, kind: type) -> None:
    search = open_search(SearchSettings(method=method), StageTimes(), live=live)
    assert type(search) is kind
    search.close()


@pytest.mark.usefixtures("with_finder")
def test_without_a_score_haar_looks_alone() -> None:
    search = open_search(SearchSettings(method="both"), StageTimes(), live=False, has_score=False)
    assert type(search) is InlineSearch


@pytest.mark.usefixtures("with_finder")
def test_the_finder_needs_no_cascade(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(cv2, "CascadeClassifier")
    open_search(SearchSettings(method="finder"), StageTimes(), live=True).close()
    with pytest.raises(MissingPartError, match=r"CascadeClassifier.*--search finder"):
        open_search(SearchSettings(method="both"), StageTimes(), live=True)


class SeesDots:
    """Proposes a crop around the brightest pixel, where one is bright and the picture is at most so large."""

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self.shapes: list[tuple[int, ...]] = []

    def propose(self, grey: np.ndarray, *, max_proposals: int = 5) -> list[Proposal]:
        self.shapes.append(grey.shape)
        y, x = np.unravel_index(int(grey.argmax()), grey.shape)
        seen = grey.max() > 200 and max(grey.shape) <= self._largest
        return [Proposal(Crop(float(x), float(y), 20.0), 0.9)] if seen else []


@pytest.mark.parametrize("place", [(30, 30), (200, 320), (399, 639), (100, 480)])
@pytest.mark.parametrize("largest", [2000, 500, 200])
def test_everywhere_proposes_each_face_once_in_the_pictures_pixels(place: tuple[int, int], largest: int) -> None:
    grey = np.zeros((400, 640), np.uint8)
    grey[place] = 255
    found = propose_everywhere(SeesDots(largest), grey, border=0.25)
    assert [(crop.y, crop.x) for crop in found] == [place]


class SurerNearby(SeesDots):
    """Proposes a corner of the whole, without much confidence, and a bright pixel of a part with much."""

    def propose(self, grey: np.ndarray, *, max_proposals: int = 5) -> list[Proposal]:
        return super().propose(grey) if max(grey.shape) < 640 else [Proposal(Crop(20, 20, 30), 0.4)]


def test_everywhere_what_the_finder_is_surest_of_comes_first_wherever_it_saw_it() -> None:
    grey = np.zeros((400, 640), np.uint8)
    grey[330, 560] = 255
    found = propose_everywhere(SurerNearby(639), grey)
    assert [(crop.y, crop.x) for crop in found] == [(330, 560), (20, 20)]


def test_everywhere_looks_at_no_part_that_is_smaller_than_what_the_finder_sees() -> None:
    finder = SeesDots(0)
    propose_everywhere(finder, np.zeros((120, 160), np.uint8), border=0.25)
    assert finder.shapes == [(180, 220)]


@pytest.mark.parametrize("method", ["finder", "both"])
def test_stills_verify_what_the_finder_proposes(
    monkeypatch: pytest.MonkeyPatch, model: KeypointModel, demo_frames: list[Frame], method: Method
) -> None:
    frame = demo_frames[0]
    finder = StubFinder([crop_of(frame, model), Crop(40, 40, 40)])
    monkeypatch.setattr(image_detector, "Finder", lambda: finder)
    (face,) = ImageDetector(model, ImageSettings(method=method, border=0)).find(frame.grey)
    assert np.abs(face.points - frame.truth).max() < 20


def test_stills_ask_haar_where_the_finder_found_no_face(
    monkeypatch: pytest.MonkeyPatch, model: KeypointModel, demo_frames: list[Frame]
) -> None:
    monkeypatch.setattr(image_detector, "Finder", lambda: StubFinder([Crop(40, 40, 40)]))
    assert len(ImageDetector(model, ImageSettings(method="both")).find(demo_frames[0].grey)) == 1
    assert ImageDetector(model, ImageSettings(method="finder")).find(demo_frames[0].grey) == []
