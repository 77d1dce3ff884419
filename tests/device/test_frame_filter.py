"""Which frames are fit to be processed, and the order of their times."""

from __future__ import annotations

import numpy as np
import pytest

from fkp_edge.core.observation import Frame
from fkp_edge.device.capture import LARGEST, OLDEST_NS, SMALLEST, FrameFilter

GREY = np.zeros((48, 64), np.uint8)
NOW = 10**15


def frame(sequence: int, captured_ns: int = NOW) -> Frame:
    return Frame(GREY, captured_ns, sequence)


def test_times_of_a_camera_whose_clock_jumps_stay_near_ours() -> None:
    admission = FrameFilter(live=True)
    claimed = [NOW, NOW + 10**12, NOW + 3, NOW - OLDEST_NS - 1, NOW + 5]
    given = [admission.admit(frame(i, at), NOW + i).captured_ns - NOW for i, at in enumerate(claimed)]
    assert given == sorted(set(given))
    assert given[-1] <= 10


def test_a_plausible_time_is_kept_however_late_its_frame_comes() -> None:
    admission = FrameFilter(live=True)
    claimed = [NOW - OLDEST_NS + 1, NOW - OLDEST_NS + 2, NOW - 1, NOW]
    assert [admission.admit(frame(i, at), NOW).captured_ns for i, at in enumerate(claimed)] == claimed


def test_times_that_stand_or_go_back_go_on_by_the_smallest_step() -> None:
    admission = FrameFilter(live=True)
    given = [admission.admit(frame(i, at), NOW).captured_ns - NOW for i, at in enumerate([NOW - 9, NOW - 9, NOW - 50])]
    assert given == [-9, -8, -7]


def test_a_frame_that_came_before_is_refused_and_counted() -> None:
    admission = FrameFilter(live=True)
    given = [admission.admit(frame(sequence), NOW) for sequence in (0, 3, 3, 2, 4)]
    assert [got and got.sequence for got in given] == [0, 3, None, None, 4]
    assert admission.refused == 2


def test_another_camera_goes_on_counting() -> None:
    admission = FrameFilter(live=True)
    first = [admission.admit(frame(i), NOW).sequence for i in (0, 1, 4)]
    admission.restart()
    assert (first, [admission.admit(frame(i), NOW).sequence for i in (0, 1)]) == ([0, 1, 4], [5, 6])


def test_a_recordings_frames_keep_their_places_and_times() -> None:
    admission = FrameFilter(live=False)
    frames = [frame(7, 0), frame(3, 5), frame(3, 2)]
    assert [admission.admit(one, NOW) for one in frames] == frames


@pytest.mark.parametrize(
    "grey",
    [
        GREY.astype(np.int16),
        GREY[None],
        GREY[0],
        GREY[: SMALLEST - 1],
        GREY[:, : SMALLEST - 1],
        np.broadcast_to(GREY[0, 0], (SMALLEST, LARGEST + 1)),
        GREY.tolist(),
        None,
    ],
)
def test_what_is_no_picture_is_refused(grey: object) -> None:
    admission = FrameFilter(live=False)
    assert admission.admit(Frame(grey, 0, 0), 0) is None
    assert admission.refused == 1


def test_what_is_no_frame_is_refused() -> None:
    assert FrameFilter(live=False).admit(GREY, 0) is None


@pytest.mark.parametrize("shape", [(SMALLEST, LARGEST), (LARGEST, SMALLEST)])
def test_the_smallest_and_the_largest_side_are_taken(shape: tuple[int, int]) -> None:
    grey = np.broadcast_to(GREY[0, 0], shape)
    assert FrameFilter(live=False).admit(Frame(grey, 0, 0), 0) is not None
