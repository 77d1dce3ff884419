"""Faces followed through a source, which is closed when the caller stops."""

from __future__ import annotations

import gc
from pathlib import Path

import cv2
import pytest

import fkp_edge as fkp
from fkp_edge.device.sources import DemoSource, FakeCamera
from fkp_edge.errors import SourceError
from fkp_edge.library import run as running

DEMO = DemoSource(pace=False)


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch):
    """Puts a fake in the place of what `track` opens."""

    def put(*cameras: FakeCamera) -> None:
        waiting = list(cameras)
        monkeypatch.setattr(running, "open_source", lambda *_, **__: waiting.pop(0))

    return put


def test_the_demo_is_followed_to_its_end() -> None:
    results = list(fkp.track("demo"))
    assert [result.sequence for result in results] == list(range(376))
    assert {result.state for result in results} >= {"tracking", "searching"}
    assert results[0].draw().shape == (480, 640, 3)


def test_a_folder_gives_a_result_for_each_picture(tmp_path: Path) -> None:
    for number in range(3):
        cv2.imwrite(str(tmp_path / f"{number}.png"), DEMO.frame(number, 0).grey)
    assert [len(result) for result in fkp.track(tmp_path)] == [1, 1, 1]


def test_a_loop_that_is_left_closes_the_source(camera) -> None:
    opened = FakeCamera([DEMO.frame(number, number) for number in range(9)])
    camera(opened)
    for result in fkp.track("demo"):
        assert result.state == "tracking"
        break
    gc.collect()
    assert opened.closed


def test_results_that_nobody_takes_close_their_source(camera) -> None:
    opened = FakeCamera([])
    camera(opened)
    with fkp.track("demo") as results:
        pass
    results.close()
    assert opened.closed
    assert repr(results) == "<Results closed>"
    assert list(results) == []


def test_a_recording_that_breaks_gives_what_it_had_and_then_its_error(camera) -> None:
    camera(FakeCamera([DEMO.frame(0, 0), DEMO.frame(1, 1), SourceError("broken")]))
    results = fkp.track("demo")
    assert [next(results).sequence, next(results).sequence] == [0, 1]
    with pytest.raises(fkp.SourceError, match=r"^broken$"):
        next(results)


def test_a_camera_that_fails_is_opened_again_and_its_loss_is_a_result(camera) -> None:
    broken = FakeCamera([DEMO.frame(0, 0), SourceError("unplugged")], live=True)
    again = FakeCamera([DEMO.frame(0, 0)], live=True)
    camera(broken, again)
    quick = fkp.SupervisionSettings(stall_s=5.0, retry_s=0.01)
    states = []
    with fkp.track("v4l2:0", supervision=quick) as results:
        for result in results:
            states.append((result.state, result.picture.shape))
            if len(states) == 3:
                break
    assert [state == "no_camera" for state, _ in states] == [False, True, False]
    assert {shape for _, shape in states} == {(480, 640)}
    assert broken.closed
    assert again.closed


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("nonsense", {}, "source 'nonsense' does not exist; expected auto, picamera"),
        ("demo", {"max_faces": 0}, "EngineSettings: max_faces = 0 cannot be used"),
        ("demo", {"camera": fkp.CameraSettings(rate=0)}, "CameraSettings: rate = 0 cannot be used"),
        ("demo", {"model": "none.tflite"}, "cannot read none.tflite"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_is_opened(
    source: str, options: dict[str, object], message: str
) -> None:
    with pytest.raises(fkp.InputError, match=message):
        fkp.track(source, **options)
