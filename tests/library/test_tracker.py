"""Faces followed through frames of the caller's own."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

import fkp_edge as fkp
from fkp_edge.device.sources import DemoSource
from fkp_edge.library.tracker import Tracker

DEMO = DemoSource(pace=False)


def frames(count: int) -> list[np.ndarray]:
    return [DEMO.frame(number, 0).grey for number in range(count)]


def test_a_face_keeps_its_number_from_frame_to_frame() -> None:
    with fkp.Tracker() as tracker:
        results = [tracker(frame, time_s=number / 30) for number, frame in enumerate(frames(20))]
    assert {(result.state, result[0].id) for result in results} == {("tracking", 1)}
    assert [result.sequence for result in results] == list(range(20))
    assert results[6].time_s == pytest.approx(0.2)


def test_colours_are_as_said() -> None:
    noses = []
    for colors, code in (("bgr", cv2.COLOR_GRAY2BGR), ("rgb", cv2.COLOR_GRAY2RGB)):
        with fkp.Tracker(colors=colors) as tracker:
            noses.append(tracker(cv2.cvtColor(frames(1)[0], code))[0]["nose_tip"].tolist())
    assert noses[0] == noses[1]


def test_time_is_now_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fkp_edge.library.tracker.time.monotonic_ns", lambda: 5_000_000_000)
    with fkp.Tracker() as tracker:
        assert tracker(frames(1)[0]).time_s == 5.0


def test_a_face_that_is_gone_is_held_for_a_moment_by_the_clock_that_is_given() -> None:
    empty = np.full((480, 640), 160, np.uint8)
    with fkp.Tracker() as tracker:
        tracker(frames(1)[0], time_s=0)
        held, lost = tracker(empty, time_s=0.1), tracker(empty, time_s=0.6)
    assert (held.state, [face.held for face in held]) == ("held", [True])
    assert (lost.state, len(lost)) == ("searching", 0)


def test_settings_are_keywords_or_records() -> None:
    raw = fkp.Tracker(smoothing=False, max_faces=2, tracking=fkp.EngineSettings(hold_s=1.0))
    assert raw._engine._settings == fkp.EngineSettings(hold_s=1.0, max_faces=2)
    assert not raw._engine._smoothing.enabled
    steady = fkp.Tracker(smoothing=fkp.SmoothingSettings(beta=1.0))
    assert steady._engine._smoothing.beta == 1.0
    assert steady.names[10] == "nose_tip"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_faces": 9}, r"EngineSettings: max_faces = 9 cannot be used; expected"),
        ({"tracking": fkp.EngineSettings(hold_s=-1)}, r"EngineSettings: hold_s = -1 cannot be used"),
        ({"tracking": {"hold_s": 1}}, r"is of type dict; expected a EngineSettings, or None"),
        ({"smoothing": 3}, r"3 is of type int; expected a SmoothingSettings"),
        ({"search": fkp.SearchSettings(min_size=1)}, r"SearchSettings: min_size = 1 cannot be used"),
        ({"colors": "grey"}, r"colors='grey' is not known"),
        ({"model": "none.tflite"}, r"cannot read none\.tflite"),
    ],
)
def test_settings_that_cannot_be_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(fkp.InputError, match=message):
        fkp.Tracker(**options)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (
            None,
            r"^the frame is None; expected a uint8 array \(H, W\), or \(H, W, 3\) in BGR: the camera or file gave",
        ),
        ("frame.png", r"^the frame is of type str; expected a uint8 array"),
        (np.zeros((480, 640), np.float32), r"^the frame holds float32 pixels"),
        (np.zeros((20, 640), np.uint8), r"^the frame has 640x20 pixels; expected sides of 32 to 16384$"),
    ],
)
def test_a_frame_that_is_no_picture_is_refused(frame: object, message: str) -> None:
    with fkp.Tracker() as tracker, pytest.raises(fkp.InputError, match=message):
        tracker(frame)


@pytest.mark.parametrize("time_s", [math.nan, math.inf, 1e10, "soon"])
def test_a_time_that_is_none_is_refused(time_s: object) -> None:
    with fkp.Tracker() as tracker, pytest.raises(fkp.InputError, match="is no time in seconds; expected a number"):
        tracker(frames(1)[0], time_s=time_s)


def test_a_closed_tracker_says_so() -> None:
    tracker = fkp.Tracker()
    assert repr(tracker) == "<Tracker keypoints-int8, open, 0 frames>"
    tracker.close()
    tracker.close()
    assert repr(tracker) == "<Tracker keypoints-int8, closed>"
    with pytest.raises(fkp.InputError, match=r"^this Tracker is closed; make another one$"):
        tracker(frames(1)[0])


def test_a_live_tracker_searches_beside_the_frames_and_keeps_a_copy_of_what_it_is_given() -> None:
    with Tracker(live=True) as tracker:
        looked = []
        tracker._search.look = lambda frame, **_: looked.append(frame)
        frame = frames(1)[0]
        assert len(tracker(frame)) == 0
        assert not np.shares_memory(looked[0].grey, frame)
