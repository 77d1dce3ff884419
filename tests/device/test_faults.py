"""Cameras that stall, fail, lie about their clock or give no pictures: 200 seeded sequences of that."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from fkp_edge.core.observation import Frame, Observation, State
from fkp_edge.device.detection.search import FakeSearch
from fkp_edge.device.runtime import Runtime, SupervisionSettings
from fkp_edge.device.sources import FakeCamera
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.errors import SourceError
from fkp_edge.model.interpreter import KeypointModel

STALL_S = 0.02
QUICK = SupervisionSettings(stall_s=STALL_S, retry_s=0.001, longest_retry_s=0.005)
GREY = np.zeros((48, 64), np.uint8)
FAULTS = ("freeze", "exception", "size", "dtype", "none", "forward", "back", "stale", "slow sink")
HANG_S = 20.0
"""A guard against tests that never end, not a time that is measured."""


class Story:
    """A camera that lives through random faults, several times over, and is well in the end."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)
        self._cameras = 0
        self.is_well = threading.Event()
        self.sink_sleeps = False
        self.told: list[str] = []

    def open(self) -> FakeCamera:
        self._cameras += 1
        if 1 < self._cameras < 4 and self._rng.random() < 0.3:
            self.told.append("cannot open")
            raise SourceError("busy")
        return FakeCamera(self._frames(faulty=self._cameras < 5), live=True)

    def _frames(self, *, faulty: bool) -> Iterator[Frame | Exception | None]:
        clock_ns = 0
        for sequence in itertools.islice(itertools.count(), 12 if faulty else None):
            fault = str(self._rng.choice(FAULTS)) if faulty and self._rng.random() < 0.3 else ""
            clock_ns += {"forward": 10**13, "back": -(10**13)}.get(fault, 0)
            self.sink_sleeps = fault == "slow sink"
            if fault:
                self.told.append(fault)
            yield from self._frame(fault, sequence, clock_ns)

    def _frame(self, fault: str, sequence: int, clock_ns: int) -> Iterator[Frame | Exception | None]:
        if fault == "freeze":
            threading.Event().wait(1.5 * STALL_S)
        if fault == "exception":
            yield [SourceError("unplugged"), ValueError("driver"), RuntimeError("gone")][int(self._rng.integers(3))]
        if fault == "none":
            yield None
        grey = {"size": GREY[:, :5], "dtype": GREY.astype(np.float32)}.get(fault, GREY)
        threading.Event().wait(0.0005)
        yield Frame(grey, time.monotonic_ns() + clock_ns, sequence - 3 * (fault == "stale"))


def live_through(seed: int, model: KeypointModel) -> tuple[list[tuple[bool, Observation]], Story]:
    """What is published while the camera has faults and until it is well again."""
    story, published = Story(seed), []
    well = 0

    def sink(frame: Frame | None, observation: Observation) -> None:
        nonlocal well
        published.append((frame is not None, observation))
        if story.sink_sleeps:
            threading.Event().wait(0.002)
        well += frame is not None and story._cameras >= 5
        if well >= 3 or time.monotonic() > deadline:
            runtime.stop()

    runtime = Runtime(story.open(), Engine(model, FakeSearch()), [sink], reopen=story.open, settings=QUICK)
    deadline = time.monotonic() + HANG_S
    runtime.run()
    assert well >= 3, f"seed {seed} did not recover from {story.told}"
    return published, story


@pytest.mark.parametrize("first", range(0, 200, 20))
def test_recovers_never_raises_and_never_goes_back(model: KeypointModel, first: int) -> None:
    for seed in range(first, first + 20):
        published, story = live_through(seed, model)
        frames = [o for is_frame, o in published if is_frame]
        for name in ("sequence", "captured_ns"):
            values = [getattr(o, name) for o in frames]
            assert values == sorted(set(values)), (seed, name, story.told)
        assert any(o.state is State.NO_CAMERA for _, o in published), (seed, story.told)


def test_a_failure_is_said_at_once(model: KeypointModel) -> None:
    published, _ = live_through(0, model)
    index, (_, beat) = next((i, p) for i, p in enumerate(published) if not p[0])
    assert (beat.state, beat.faces) == (State.NO_CAMERA, ())
    assert beat.sequence == (published[index - 1][1].sequence if index else 0)


class Wedged(FakeCamera):
    """Never comes back from its second `read`."""

    def __init__(self, release: threading.Event) -> None:
        super().__init__([Frame(GREY, 0, 0)], live=True)
        self._release = release

    def read(self) -> Frame | None:
        if self.reads:
            self._release.wait(HANG_S)
        return super().read()


def test_a_driver_that_never_comes_back_costs_a_bounded_number_of_threads(model: KeypointModel) -> None:
    release = threading.Event()
    beats = 0
    reopens: list[bool] = []

    def sink(frame: Frame | None, observation: Observation) -> None:
        nonlocal beats
        beats += frame is None
        reopens.append(runtime.reopens)
        if beats == 4:  # 3 stuck, then a heartbeat
            runtime.stop()

    def open_again() -> FakeCamera:
        return Wedged(release)

    runtime = Runtime(Wedged(release), Engine(model, FakeSearch()), [sink], reopen=open_again, settings=QUICK)
    runtime.run()
    stuck = [thread for thread in threading.enumerate() if thread.name == "capture"]
    release.set()
    for thread in stuck:
        thread.join(HANG_S)
    assert runtime.reopened == 2
    assert len(stuck) == 3
    assert (reopens[0], reopens[-1]) == (True, False)  # then systemd's watchdog must help


class Flapping:
    """A camera that gives a frame and fails, each time that it is opened; notes how long each wait was."""

    def __init__(self) -> None:
        self.opened = 0

    def open(self) -> FakeCamera:
        self.opened += 1
        return FakeCamera([Frame(GREY, time.monotonic_ns(), 0), SourceError("flaps")], live=True)


def test_one_good_frame_does_not_end_the_growing_wait(model: KeypointModel, caplog: pytest.LogCaptureFixture) -> None:
    camera = Flapping()

    def sink(frame: Frame | None, observation: Observation) -> None:
        if camera.opened >= 4 and frame is None:
            runtime.stop()

    slow = SupervisionSettings(stall_s=3600, retry_s=0.01, longest_retry_s=0.03)
    runtime = Runtime(camera.open(), Engine(model, FakeSearch()), [sink], reopen=camera.open, settings=slow)
    runtime.run()
    assert re.findall(r"failed: flaps; it is opened again in (\S+) s", caplog.text)[:4] == [
        "0.01",
        "0.02",
        "0.03",
        "0.03",
    ]


def test_a_camera_that_ends_is_said_to_give_no_more_frames(
    model: KeypointModel, caplog: pytest.LogCaptureFixture
) -> None:
    def sink(frame: Frame | None, observation: Observation) -> None:
        if runtime.reopened:
            runtime.stop()

    def open_again() -> FakeCamera:
        return FakeCamera([Frame(GREY, time.monotonic_ns(), 0)], live=True)

    runtime = Runtime(open_again(), Engine(model, FakeSearch()), [sink], reopen=open_again, settings=QUICK)
    runtime.run()
    assert "fake gives no more frames; it is opened again in 0.001 s" in caplog.text


def test_the_wait_starts_over_once_frames_have_flowed_for_a_while(model: KeypointModel) -> None:
    def steady() -> Iterator[Frame | Exception]:
        for i in range(30):
            threading.Event().wait(0.01)
            yield Frame(GREY, time.monotonic_ns(), i)
        yield SourceError("gone")

    def sink(frame: Frame | None, observation: Observation) -> None:
        if runtime.reopened >= 2:
            runtime.stop()

    settings = SupervisionSettings(stall_s=0.2, retry_s=0.001, longest_retry_s=3600)

    def open_again() -> FakeCamera:
        return FakeCamera(steady(), live=True)

    runtime = Runtime(open_again(), Engine(model, FakeSearch()), [sink], reopen=open_again, settings=settings)
    runtime.run()
    assert runtime._retry_s <= 0.002


def test_a_recording_is_not_opened_again(model: KeypointModel) -> None:
    camera = FakeCamera([Frame(GREY, 0, 0), SourceError("damaged")])
    with pytest.raises(SourceError, match="damaged"):
        Runtime(camera, Engine(model, FakeSearch()), [], reopen=lambda: camera, settings=QUICK).run()
