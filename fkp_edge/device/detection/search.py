"""Whole-frame search for faces: settings, methods, and what suits live video or recordings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from msgspec import Meta

from fkp_edge.core.observation import Frame
from fkp_edge.device.detection.base import Detect, Proposal, Search
from fkp_edge.device.detection.finder import Finder
from fkp_edge.device.detection.finder_search import BothSearch, FinderSearch
from fkp_edge.device.detection.haar import HaarDetector, HaarSettings, RotatedDetector, find_cascade
from fkp_edge.device.detection.threaded import ThreadedSearch
from fkp_edge.device.timing import StageTimes
from fkp_edge.model.file import read_model_file
from fkp_edge.model.shipped import FINDER, shipped_model

__all__ = [
    "Detect",
    "FakeSearch",
    "InlineSearch",
    "Method",
    "Proposal",
    "Search",
    "SearchSettings",
    "ThreadedSearch",
    "cheaper",
    "check_search",
    "open_search",
]

SMALL_SIDE, LARGE_FACE = 320, 80
"""Pixels: what makes a search cheaper where it is larger or smaller."""

Method = Literal["both", "haar", "finder"]
"""What proposes faces: this project's finder, a small network, and Haar's cascade."""


class SearchSettings(HaarSettings, frozen=True, kw_only=True):
    """How hard to look, how often, and for what."""

    method: Method = "both"
    """What looks: the finder in every frame without a face, Haar, or the finder with Haar as a second opinion."""
    min_neighbors: Annotated[int, Meta(ge=0, le=100)] = 1
    """Fewer than for Haar alone: the score tells faces from the rest, and more of them are proposed."""
    cpu_share: Annotated[float, Meta(ge=0.01, le=1)] = 0.5
    """Of one core, for Haar's searches in live video; recordings are searched whatever it costs."""
    second_share: Annotated[float, Meta(ge=0.01, le=1)] = 0.1
    """The same where Haar gives the second opinion beside the finder."""
    tilted: bool = True
    """Where no upright face is found, look in turns for faces tilted by 30 degrees to either side, too."""


class InlineSearch:
    """Searches the frame it is given, and keeps the caller waiting: for recordings, where each frame counts."""

    quick = beside = False

    def __init__(self, detect: Detect, times: StageTimes | None = None) -> None:
        self._detect = detect
        self._times = times or StageTimes()
        self.count = 0

    def look(self, frame: Frame, *, following: bool = False) -> Sequence[Proposal] | None:  # noqa: ARG002 - the interface's
        """Boxes in `frame`."""
        self.count += 1
        with self._times.stage("search"):
            return self._detect(frame.grey)

    def close(self) -> None:
        """Nothing to end."""


class FakeSearch:
    """Answers each look with the next of the given answers, then with no boxes."""

    def __init__(self, answers: Sequence[Sequence[Proposal] | None] = (), *, quick: bool = False) -> None:
        self.count = 0
        self.quick = quick
        self._answers = list(answers)

    def look(self, frame: Frame, *, following: bool = False) -> Sequence[Proposal] | None:  # noqa: ARG002 - the interface's
        """The next answer."""
        self.count += 1
        return self._answers.pop(0) if self._answers else []

    def close(self) -> None:
        """Nothing to end."""


def check_search(settings: SearchSettings) -> None:
    """Looks whether what `settings` name is there.

    Raises:
        MissingPartError: the method's cascade is not; the text says what to do.
        ModelFileError: the finder's file is missing or damaged.
    """
    if settings.method != "finder":
        find_cascade()
    if settings.method != "haar":
        read_model_file(shipped_model(FINDER))  # opening it, with what a runtime takes for that, is the run's


def open_search(
    settings: SearchSettings, times: StageTimes, *, live: bool, has_score: bool = True
) -> ThreadedSearch | InlineSearch | FinderSearch | BothSearch:
    """The search that `fkp-edge run` uses: beside live video, in turn with the frames of a recording.

    Args:
        settings: what looks, and how hard.
        times: where the durations of searches go.
        live: frames do not wait.
        has_score: of the keypoint network; without one nothing tells the finder's wrong proposals from faces, so that
            Haar looks alone where both would.

    Raises:
        MissingPartError: the method's cascade or network is not there; the text says what to do.
    """
    method = settings.method if has_score or settings.method == "finder" else "haar"
    if method == "haar":
        return _open_haar(settings, times, live=live, cpu_share=settings.cpu_share)
    finder = FinderSearch(Finder(), times, live=live)
    if method == "finder":
        return finder
    return BothSearch(finder, _open_haar(settings, times, live=live, cpu_share=settings.second_share))


def _open_haar(
    settings: SearchSettings, times: StageTimes, *, live: bool, cpu_share: float
) -> ThreadedSearch | InlineSearch:
    upright = HaarDetector(settings)
    detect = RotatedDetector(upright).detect if settings.tilted else upright.detect
    if live:
        return ThreadedSearch(detect, times, cpu_share=cpu_share, remedy=cheaper(settings))
    return InlineSearch(detect, times)


def cheaper(settings: SearchSettings) -> str:
    """What in [search] makes a search cheaper than `settings` do: the finder is, by far."""
    ways = ['method = "finder"']
    if settings.longest_side > SMALL_SIDE:
        ways.append(f"longest_side = {SMALL_SIDE} (now {settings.longest_side})")
    if settings.tilted:
        ways.append("tilted = false")
    if settings.min_size < LARGE_FACE:
        ways.append(f"min_size = {LARGE_FACE} (now {settings.min_size})")
    return f"set {' or '.join(ways)} in [search]"
