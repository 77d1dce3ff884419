"""Frames through engine and stream to a client in another process: as fast as they go, and at their own rate."""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import ExitStack

import msgspec

from fkp_edge.bench.records import STAGES, Loop, OpenLoop, latency
from fkp_edge.bench.start import Receiver
from fkp_edge.core.files import Closing
from fkp_edge.core.observation import Frame, Observation
from fkp_edge.device.detection.search import SearchSettings, open_search
from fkp_edge.device.runtime import Runtime
from fkp_edge.device.sources import Source, open_source
from fkp_edge.device.sources.base import Pace
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.errors import InputError, SourceError, StreamError
from fkp_edge.model.interpreter import KeypointModel
from fkp_edge.stream import Hello, LineServer, TcpAddress, encode, from_observation

__all__ = [
    "RATE",
    "ClosedLoop",
    "PacedFrames",
    "Timeline",
    "frame_at",
    "is_camera",
    "measure_open_loop",
    "record_frames",
]

MAX_FRAMES = 400
MAX_OF_A_CAMERA = 60
MAX_BYTES = 128 * 2**20


def is_camera(source: str) -> bool:
    """Whether `source` names a device whose frames come at its own rate."""
    return source == "picamera" or source.startswith("v4l2:")


def record_frames(source: str) -> list[Frame]:
    """The first frames of what `source` names: 400 (of a camera 60), or 128 MiB of them.

    Raises:
        FkpEdgeError: it cannot be opened or read, has none, or is a pipe, which nobody can open twice.
    """
    if source.split(":")[0] in ("gray", "yuv420"):
        raise InputError(f"bench reads its source more than once; expected a camera, file or demo, got {source}")
    opened = open_source(source, pace=False)
    frames: list[Frame] = []
    most, size = MAX_OF_A_CAMERA if is_camera(source) else MAX_FRAMES, 0
    try:
        while len(frames) < most and size < MAX_BYTES and (frame := opened.read()) is not None:
            frames.append(frame)
            size += frame.grey.nbytes
    finally:
        opened.close()
    if not frames:
        raise SourceError(f"source {source} ended before its first frame; expected at least one")
    return frames


def frame_at(frames: list[Frame], index: int, captured_ns: int) -> Frame:
    """Frame `index` of playing `frames` to their end and back again, over and over: nothing jumps."""
    turn = max(1, 2 * len(frames) - 2)
    place = index % turn
    return Frame(frames[place if place < len(frames) else turn - place].grey, captured_ns, index)


class PacedFrames(Closing):
    """A camera that gives `frames` at `rate` a second, each at its time."""

    name = "bench"
    live = True

    def __init__(self, frames: list[Frame], rate: float) -> None:
        self._frames = frames
        self._pace = Pace(rate)
        self._next = 0
        self._closed = False

    def read(self) -> Frame | None:
        """The next frame; its time is when it was due, so that what comes late is seen."""
        due_ns = self._pace.due_ns(self._next, wait=True)
        if self._closed:
            return None
        frame = frame_at(self._frames, self._next, due_ns)
        self._next += 1
        return frame

    def close(self) -> None:
        """Ends the frames."""
        self._closed = True


class Timeline(StageTimes):
    """Takes the place of the run's times, which keep no order over stages and only the newest."""

    def __init__(self) -> None:
        super().__init__()
        self._spans: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        self.engine_began_ns = 0
        """Monotonic clock when the engine began with its last frame."""

    def add(self, stage: str, duration_ns: int) -> None:
        """Notes one duration of `stage`, which ends now."""
        now = time.monotonic_ns()
        self._spans[stage].append((now, duration_ns))
        if stage == "engine":
            self.engine_began_ns = now - duration_ns

    def add_at(self, stage: str, at_ns: int, duration_ns: int) -> None:
        """Notes one that belongs to the moment `at_ns`, monotonic clock."""
        self._spans[stage].append((at_ns, duration_ns))

    def between(self, start_ns: int, end_ns: int) -> dict[str, list[int]]:
        """Durations, in the order of time, of each stage that belong to `start_ns` to before `end_ns`."""
        found = {
            stage: [duration for at, duration in spans if start_ns <= at < end_ns]
            for stage, spans in self._spans.items()
        }
        return {stage: durations for stage, durations in found.items() if durations}


RATE = 30.0
FRAME_NS = round(1e9 / RATE)
WARM_FRAMES = 30
FIRST_MINUTE_S = 60.0
STEADY_S = 1.0
"""What came after the first minute must be at least this long to be a steady state."""
CONNECT_S = 20.0
FIRST_FRAME_S = 10.0


class _Stream(Closing):
    """The stream with its one client; notes when each line was ready."""

    def __init__(self, model: KeypointModel, times: Timeline) -> None:
        self._times = times
        self._began: dict[int, int] = {}
        self._encoded: dict[int, int] = {}
        self.dropped: list[tuple[int, int]] = []
        """When, and how many, frames were skipped."""
        self.first_ns = 0
        """When the first frame was taken."""
        hello = Hello(
            model=model.file.path.name,
            model_sha256=model.file.sha256,
            points=model.schema.names,
            frame_size=None,
            source="bench",
            server_ns=time.monotonic_ns(),
        )
        with ExitStack() as opened:
            self._server = opened.enter_context(LineServer(TcpAddress("127.0.0.1", 0), lambda: hello))
            self._receiver = opened.enter_context(Receiver(f"tcp://127.0.0.1:{self._server.port}"))
            self._wait_for_client()
            self._opened = opened.pop_all()

    def _wait_for_client(self) -> None:
        end = time.monotonic() + CONNECT_S
        while not self._server.clients:
            if time.monotonic() > end or not self._receiver.is_running:
                raise StreamError(f"the measuring client did not connect within {CONNECT_S:g} s; measure again")
            time.sleep(0.01)

    def publish(self, observation: Observation, began_ns: int) -> None:
        """Sends what was seen in a frame that was taken at `began_ns`."""
        start = time.monotonic_ns()
        line = encode(from_observation(observation, start))
        encoded = time.monotonic_ns()
        self._server.publish(line)
        self._times.add_at("encode", encoded, encoded - start)
        self.first_ns = self.first_ns or began_ns
        self._began[observation.sequence] = began_ns
        self._encoded[observation.sequence] = encoded
        if observation.dropped:
            self.dropped.append((encoded, observation.dropped))

    def finish(self) -> dict[int, int]:
        """Ends the stream and notes what the client got: sequence -> when, of all that were sent; 0 is never."""
        self._server.close()
        arrivals = self._receiver.arrivals()
        for sequence, encoded in self._encoded.items():
            if at := arrivals.get(sequence):
                # both belong to when the line was ready, as the frame does: its arrival may lie after the loop's end
                self._times.add_at("send", encoded, at - encoded)
                self._times.add_at("end to end", encoded, at - self._began[sequence])
        return {encoded: arrivals.get(sequence, 0) for sequence, encoded in self._encoded.items()}

    def close(self) -> None:
        """Twice is fine."""
        self._opened.close()


def _loop(times: Timeline, stream: _Stream, sent: dict[int, int], start_ns: int, end_ns: int) -> Loop:
    """What happened between two moments; `sent` is what `finish` gave."""
    spans = times.between(start_ns, end_ns)
    published = [arrived for encoded, arrived in sent.items() if start_ns <= encoded < end_ns]
    return Loop(
        seconds=round((end_ns - start_ns) / 1e9, 3),
        frames=len(published),
        dropped=sum(count for at, count in stream.dropped if start_ns <= at < end_ns),
        missed=published.count(0),
        stages={stage: latency(spans[stage]) for stage in STAGES if stage in spans},
    )


class ClosedLoop(Closing):
    """One model's frames one after the other on one thread; may rest between turns, while others take theirs."""

    def __init__(self, model: KeypointModel, frames: list[Frame]) -> None:
        self._frames = frames
        self._times = Timeline()
        self._engine = Engine(model, open_search(SearchSettings(), self._times, live=False), times=self._times)
        self._stream = _Stream(model, self._times)
        self._next = 0
        self._worked_ns = 0
        self._first_ns: int | None = None

    def work(self, seconds: float) -> None:
        """A turn."""
        start = time.monotonic_ns()
        end = start + round(seconds * 1e9)
        while (now := time.monotonic_ns()) < end:
            if self._next == WARM_FRAMES:
                self._first_ns, start = now, now
            # the engine's clock goes on at 30 frames a second: it searches and smooths by that
            frame = frame_at(self._frames, self._next, self._next * FRAME_NS)
            with self._times.stage("engine"):
                observation = self._engine.process(frame)
            self._stream.publish(observation, now)
            self._next += 1
        self._worked_ns += time.monotonic_ns() - start

    def finish(self) -> Loop:
        """Of all turns, the first frames left out."""
        sent = self._stream.finish()
        loop = _loop(self._times, self._stream, sent, self._first_ns or 0, time.monotonic_ns())
        return msgspec.structs.replace(loop, seconds=round(self._worked_ns / 1e9, 3))

    def close(self) -> None:
        """Twice is fine."""
        self._stream.close()


def measure_open_loop(model: KeypointModel, source: str, frames: list[Frame], seconds: float) -> OpenLoop:
    """`frames` at 30 a second for `seconds`, or what the camera named `source` gives, worked on as `run` does."""
    times = Timeline()
    camera = is_camera(source)
    opened: Source = open_source(source) if camera else PacedFrames(frames, RATE)
    with ExitStack() as closing:
        stream = closing.enter_context(_Stream(model, times))
        search = open_search(SearchSettings(), times, live=True)
        closing.callback(search.close)
        engine = Engine(model, search, times=times)
        last_ns = time.monotonic_ns() + round((seconds + FIRST_FRAME_S) * 1e9)

        def sink(frame: Frame | None, observation: Observation) -> None:
            now = time.monotonic_ns()
            if frame is not None:
                times.add_at("capture wait", times.engine_began_ns, times.engine_began_ns - frame.captured_ns)
                stream.publish(observation, frame.captured_ns)
            if now > last_ns or (stream.first_ns and now - stream.first_ns >= seconds * 1e9):
                runtime.stop()

        runtime = Runtime(opened, engine, [sink])
        runtime.run()
        end = time.monotonic_ns()
        sent = stream.finish()
    if not stream.first_ns:
        raise SourceError(f"source {source} gave no frame within {seconds + FIRST_FRAME_S:g} s; expected a camera's")
    minute = stream.first_ns + round(FIRST_MINUTE_S * 1e9)
    return OpenLoop(
        rate=None if camera else RATE,
        first_minute=_loop(times, stream, sent, stream.first_ns, min(minute, end)),
        steady=_loop(times, stream, sent, minute, end) if end - minute > STEADY_S * 1e9 else None,
    )
