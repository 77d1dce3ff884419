"""Owns the threads: capture hands over the latest frame, the engine works on it, sinks get what it saw."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from typing import Annotated

from msgspec import Meta

from fkp_edge.core.observation import Frame, Observation, State
from fkp_edge.core.settings import Settings
from fkp_edge.device.capture import LARGEST, SMALLEST, Capture, FrameFilter
from fkp_edge.device.sources import Source
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.errors import SourceError

__all__ = ["Runtime", "Sink", "SupervisionSettings"]

Sink = Callable[[Frame | None, Observation], None]
"""Gets each frame and what was seen in it (a heartbeat comes without a frame). Must not block."""

HEARTBEAT_S = 1.0
"""A message goes out at least this often, frames or not: without, the last one again."""
CLOSE_S = 1.0
"""How long a source may take to come back from `read` at the end."""
STOP_POLL_S = 0.2
"""How soon `stop` is noticed while no frame comes: a signal handler must not take locks to wake anyone."""
OPEN_S = 10.0
"""How long opening a camera may take: some start their sensor for seconds."""
MAX_STUCK = 3
"""Threads that a driver never gave back; with more, no other is begun, and systemd's watchdog must help."""

_log = logging.getLogger(__name__)
Positive = Annotated[float, Meta(ge=0.001, le=3600)]


class SupervisionSettings(Settings, frozen=True, kw_only=True):
    """When a camera counts as gone, and how often it is opened again."""

    stall_s: Positive = 2.0
    """Without a usable frame for this long it is opened again."""
    retry_s: Positive = 0.25
    """Before the first attempt; twice as long before each next one, until frames have flowed for `stall_s`."""
    longest_retry_s: Positive = 10.0


class Runtime:
    """Runs an engine on a source until the source ends or `stop` is called; opens a camera again that fails."""

    def __init__(
        self,
        source: Source,
        engine: Engine,
        sinks: Sequence[Sink],
        *,
        reopen: Callable[[], Source] | None = None,
        settings: SupervisionSettings | None = None,
    ) -> None:
        """Takes over `source`, which is open.

        Args:
            source: where frames come from.
            engine: what looks at them.
            sinks: who gets what it saw.
            reopen: opens a live source again; without, its failure ends the run.
            settings: when that is.
        """
        self._source = source
        self._engine = engine
        self._sinks = sinks
        self._reopen = reopen if source.live else None
        self._settings = settings or SupervisionSettings()
        self._admission = FrameFilter(live=source.live)
        self._capture: Capture | None = None
        self._stuck: list[Capture] = []
        self._alive_s = 0.0
        """When the last usable frame came, or the source was opened."""
        self._retry_at_s = 0.0
        self._retry_s = self._settings.retry_s
        self._last = Observation(0, 0, State.NO_CAMERA)
        self._beat_s = 0.0
        self._frames = 0
        self._stopping = False  # a plain flag: a signal handler may set it whatever the main thread holds
        self.reopened = 0
        """Times that a camera was opened again."""

    def stop(self) -> None:
        """Makes `run` return soon. May be called from a signal handler."""
        self._stopping = True

    @property
    def reopens(self) -> bool:
        """Whether a camera that is lost is opened again: not where too many attempts never came back."""
        return self._reopen is not None and len(self._stuck) < MAX_STUCK

    @property
    def refused(self) -> int:
        """Frames that were no pictures, or older than one before."""
        return self._admission.refused

    def run(self) -> None:
        """Works until the end. The source is closed by then, the sinks are not.

        Raises:
            SourceError: the source failed and cannot be opened again, or ended without a usable frame.
        """
        for _ in self.turns():
            pass

    def turns(self) -> Generator[None, None, None]:
        """Works as `run` does, and lets the caller act after each turn, with or without a frame; closed, it ends.

        Raises:
            SourceError: see `run`.
        """
        self._alive_s = self._beat_s = time.monotonic()
        self._last = Observation(0, time.monotonic_ns(), State.NO_CAMERA)
        self._capture = capture = Capture(lambda: self._source, wait=not self._source.live)
        try:
            while not self._stopping and not (capture.ended and self._reopen is None and self._take_last(capture)):
                self._turn()
                yield
            if not self._stopping:
                yield  # what was taken last
        finally:
            self._close()
        if self._stopping:
            return
        if capture.error is not None:
            raise capture.error
        if self.refused and not self._frames:
            raise SourceError(
                f"source {self._source.name} gave {self.refused} frames that cannot be used; expected pictures with "
                f"sides of {SMALLEST} to {LARGEST} pixels"
            )
        if not self._frames:
            raise SourceError(f"source {self._source.name} ended before its first frame; expected at least one")

    def _take_last(self, capture: Capture) -> bool:
        """True where an ended source has no frame left; works on the one that it has."""
        frame = capture.take(0)
        if frame is not None:
            self._step(frame)
        return True

    def _turn(self) -> None:
        """Waits for a frame and works on it; sees to the camera and the heartbeat where none comes."""
        wait_s = min(STOP_POLL_S, self._settings.stall_s / 2)
        if self._capture is None:
            time.sleep(min(wait_s, max(self._retry_at_s - time.monotonic(), 0.0)))
            frame = None
        else:
            frame = self._capture.take(wait_s)
        if frame is None or not self._step(frame):
            if self._reopen is not None:
                self._supervise(self._reopen)
            if time.monotonic() - self._beat_s >= HEARTBEAT_S:
                self._beat()

    def _step(self, frame: Frame) -> bool:
        """Works on `frame`; False where it is not fit for it."""
        admitted = self._admission.admit(frame, time.monotonic_ns())
        if admitted is None:
            return False
        self._alive_s = self._beat_s = time.monotonic()
        capture = self._capture
        if capture is not None and self._alive_s - (capture.opened_s or self._alive_s) >= self._settings.stall_s:
            self._retry_s = self._settings.retry_s  # not at the first frame: some give one and fail, over and over
        self._frames += 1
        times = self._engine.times
        with times.stage("engine"):
            self._last = self._engine.process(admitted)
        self._send(admitted, self._last)
        if self._source.live:  # a recording's frames carry their place in it, not when they were read
            times.add("capture to sent", time.monotonic_ns() - admitted.captured_ns)
        return True

    def _supervise(self, reopen: Callable[[], Source]) -> None:
        """Gives up a camera that failed or stalls, and opens it again when it is time to."""
        now, capture = time.monotonic(), self._capture
        if capture is None:
            self._stuck = [stuck for stuck in self._stuck if not stuck.join(0)]
            if now >= self._retry_at_s and len(self._stuck) < MAX_STUCK:
                self._admission.restart()
                self.reopened += 1
                self._alive_s = now
                self._capture = Capture(reopen, wait=False)
            return
        since = max(self._alive_s, capture.opened_s or 0.0)
        allowed_s = OPEN_S if capture.opened_s is None else self._settings.stall_s
        if capture.ended:
            why = f"failed: {capture.error}" if capture.error else "gives no more frames"
        elif now - since > allowed_s:
            why = f"gave no usable frame for {allowed_s:g} s"
        else:
            return
        _log.warning("%s %s; it is opened again in %.2g s", self._source.name, why, self._retry_s)
        capture.abandon()
        self._stuck.append(capture)
        self._capture = None
        self._retry_at_s, self._retry_s = now + self._retry_s, min(2 * self._retry_s, self._settings.longest_retry_s)
        self._say_no_camera()

    def _beat(self) -> None:
        """Says the last observation again: a camera may be slow. One that stalls is gone, reopened or not."""
        if time.monotonic() - self._alive_s > self._settings.stall_s:
            self._say_no_camera()
            return
        self._beat_s = time.monotonic()
        self._send(None, replace(self._last, dropped=0))

    def _say_no_camera(self) -> None:
        """So do the beats that follow, until a frame comes."""
        self._beat_s = time.monotonic()
        self._last = Observation(self._last.sequence, self._last.captured_ns, State.NO_CAMERA)
        self._send(None, self._last)

    def _send(self, frame: Frame | None, observation: Observation) -> None:
        for sink in self._sinks:
            sink(frame, observation)

    def _close(self) -> None:
        captures = [*self._stuck, *([self._capture] if self._capture else [])]
        for capture in captures:
            capture.abandon()
        end = time.monotonic() + CLOSE_S
        if not all(capture.join(max(end - time.monotonic(), 0)) for capture in captures):
            _log.warning("%s still blocks after %g s; it is left to the end of the process", self._source.name, CLOSE_S)
