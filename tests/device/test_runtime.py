"""Threads of the runtime, on fakes."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from fkp_edge.core.observation import Frame, Observation, State
from fkp_edge.device.capture import Capture
from fkp_edge.device.detection.search import FakeSearch
from fkp_edge.device.runtime import HEARTBEAT_S, Runtime, SupervisionSettings
from fkp_edge.device.sources import FakeCamera
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.errors import SourceError
from fkp_edge.model.interpreter import KeypointModel


def frames(count: int) -> list[Frame]:
    return [Frame(np.zeros((48, 64), np.uint8), i * 1000, i) for i in range(count)]


class Recorder:
    """A sink that keeps what it gets."""

    def __init__(self) -> None:
        self.seen: list[tuple[Frame | None, Observation]] = []

    def __call__(self, frame: Frame | None, observation: Observation) -> None:
        self.seen.append((frame, observation))


def test_a_recording_loses_no_frame(model: KeypointModel) -> None:
    sink, camera = Recorder(), FakeCamera(frames(200))
    Runtime(camera, Engine(model, FakeSearch()), [sink]).run()
    assert [o.sequence for _, o in sink.seen] == list(range(200))
    assert camera.closed


def test_a_camera_gives_its_newest_frame_and_drops_are_counted(model: KeypointModel) -> None:
    sink = Recorder()

    def slow(frame: Frame | None, observation: Observation) -> None:
        time.sleep(0.002)

    Runtime(FakeCamera(frames(500), live=True), Engine(model, FakeSearch()), [slow, sink]).run()
    observations = [o for _, o in sink.seen]
    assert observations[-1].sequence == 499
    assert len(observations) + sum(o.dropped for o in observations) == 500
    assert len(observations) < 500


def test_an_error_of_the_source_ends_the_run_with_it(model: KeypointModel) -> None:
    sink = Recorder()
    camera = FakeCamera([*frames(3), SourceError("unplugged")])
    with pytest.raises(SourceError, match="unplugged"):
        Runtime(camera, Engine(model, FakeSearch()), [sink]).run()
    assert len(sink.seen) == 3


def test_a_source_that_ends_at_once_is_an_error(model: KeypointModel) -> None:
    with pytest.raises(SourceError, match="source fake ended before its first frame; expected at least one"):
        Runtime(FakeCamera([]), Engine(model, FakeSearch()), []).run()


def test_a_source_without_one_usable_frame_says_what_is_usable(model: KeypointModel) -> None:
    tiny = [Frame(np.zeros((20, 20), np.uint8), i, i) for i in range(3)]
    with pytest.raises(SourceError, match=r"fake gave 3 frames that cannot be used; .* sides of 32 to 16384 pixels"):
        Runtime(FakeCamera(tiny), Engine(model, FakeSearch()), []).run()


class Stalled(FakeCamera):
    """Gives one frame, then blocks in `read` as a driver may; a close under that read would crash OpenCV."""

    def __init__(self) -> None:
        super().__init__(frames(1), live=True)
        self.release = threading.Event()
        self.reading = False

    def read(self) -> Frame | None:
        if self.reads == 0:
            return super().read()
        self.reading = True
        self.release.wait(30)
        self.reading = False
        return None

    def close(self) -> None:
        assert not self.reading
        super().close()


def test_a_stalled_camera_gives_heartbeats_and_stop_ends_the_run_without_it(
    model: KeypointModel, caplog: pytest.LogCaptureFixture
) -> None:
    beats: list[Observation] = []
    camera = Stalled()

    def sink(frame: Frame | None, observation: Observation) -> None:
        if frame is None:
            beats.append(observation)
            runtime.stop()

    runtime = Runtime(camera, Engine(model, FakeSearch()), [sink], settings=SupervisionSettings(stall_s=0.5))
    runtime.run()
    camera.release.set()
    assert [(o.state, o.sequence, o.faces) for o in beats] == [(State.NO_CAMERA, 0, ())]
    assert "fake still blocks after 1 s; it is left to the end of the process" in caplog.text


def test_no_thread_outlives_a_run(model: KeypointModel) -> None:
    before = set(threading.enumerate())  # one of another test may still be ending
    Runtime(FakeCamera(frames(2)), Engine(model, FakeSearch()), []).run()
    assert set(threading.enumerate()) <= before


class Slow(FakeCamera):
    """Gives a frame, then another one after over a second."""

    def read(self) -> Frame | None:
        if self.reads == 1:
            time.sleep(1.2 * HEARTBEAT_S)
        return super().read()


def test_a_slow_camera_is_no_lost_one_its_last_observation_is_repeated(model: KeypointModel) -> None:
    sink = Recorder()
    Runtime(Slow(frames(2), live=True), Engine(model, FakeSearch()), [sink]).run()
    beats = [(o.state, o.sequence, o.dropped) for _, o in sink.seen]
    assert [frame is None for frame, _ in sink.seen] == [False, True, False]
    assert beats == [(State.SEARCHING, 0, 0), (State.SEARCHING, 0, 0), (State.SEARCHING, 1, 0)]


class Unhurried(FakeCamera):
    """Gives a frame every third of a second."""

    def read(self) -> Frame | None:
        time.sleep(0.3)
        return super().read()


def test_a_camera_slower_than_the_looks_for_its_frames_is_not_opened_again(model: KeypointModel) -> None:
    reopened = []

    def stop_after_the_third(frame: Frame | None, observation: Observation) -> None:
        if observation.sequence == 2:
            runtime.stop()

    def open_again() -> FakeCamera:
        reopened.append(1)
        return Unhurried(frames(3), live=True)

    camera = Unhurried(frames(4), live=True)
    runtime = Runtime(camera, Engine(model, FakeSearch()), [stop_after_the_third], reopen=open_again)
    runtime.run()
    assert (reopened, runtime.reopened) == ([], 0)


class Unclosable(FakeCamera):
    """A camera that is gone, and fails to close, too."""

    def close(self) -> None:
        raise SourceError("no such device")


def test_a_source_that_does_not_close_is_said_and_ends_the_run_all_the_same(
    model: KeypointModel, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Recorder()
    Runtime(Unclosable(frames(3)), Engine(model, FakeSearch()), [sink]).run()
    assert len(sink.seen) == 3
    assert "fake does not close: no such device" in caplog.text


def test_who_waits_for_a_frame_has_it_when_it_comes():
    frame, over = Frame(np.zeros((48, 64), np.uint8), 0, 0), threading.Event()

    class Late(FakeCamera):
        def read(self) -> Frame | None:
            over.wait(3600 if self.reads else 0.2)  # the one frame is waited for, and no end comes to wake who waits
            return super().read()

    capture = Capture(lambda: Late([frame]), wait=True)
    taken: list[Frame | None] = []
    waiting = threading.Thread(target=lambda: taken.append(capture.take(3600)), daemon=True)
    waiting.start()
    waiting.join(20)
    seen = list(taken)
    capture.abandon()
    over.set()
    assert seen == [frame]
