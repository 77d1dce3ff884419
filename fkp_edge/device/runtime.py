"""Owns the threads: capture hands over the latest frame, the engine works on it, sinks get what it saw."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence

from fkp_edge.device.engine import Engine
from fkp_edge.device.sources import Source
from fkp_edge.errors import SourceError
from fkp_edge.observation import Frame, Observation, State

__all__ = ["Runtime", "Sink"]

Sink = Callable[[Frame | None, Observation], None]
"""Gets each frame and what was seen in it (a heartbeat comes without a frame). Must not block."""

HEARTBEAT_S = 1.0
"""A message goes out at least this often, frames or not."""
CLOSE_S = 1.5
"""How long a source may take to come back from `read` at the end."""
STOP_POLL_S = 0.2
"""How soon `stop` is noticed while no frame comes: a signal handler must not take locks to wake anyone."""

_log = logging.getLogger(__name__)


class _Slot:
    """Hands one frame from the capture thread to the engine; what is not taken in time is replaced or waited for."""

    def __init__(self, *, wait: bool) -> None:
        self._wait = wait
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._ended = False
        self.error: Exception | None = None

    def put(self, frame: Frame) -> None:
        """Offers `frame`; blocks until the one before is taken where frames must not be lost."""
        with self._changed:
            if self._wait:
                self._changed.wait_for(lambda: self._frame is None or self._ended)
            self._frame = frame
            self._changed.notify_all()

    def end(self, error: Exception | None = None) -> None:
        """No more frames will come, or be wanted."""
        with self._changed:
            self._ended = True
            self.error = self.error or error
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        return self._ended

    def take(self, timeout_s: float) -> Frame | None:
        """The newest frame; None at the end, or where none comes in time."""
        with self._changed:
            self._changed.wait_for(lambda: self._frame is not None or self._ended, timeout_s)
            frame, self._frame = self._frame, None
            self._changed.notify_all()
            return frame


class Runtime:
    """Runs an engine on a source until the source ends or `stop` is called."""

    def __init__(self, source: Source, engine: Engine, sinks: Sequence[Sink]) -> None:
        self._source = source
        self._engine = engine
        self._sinks = sinks
        self._slot = _Slot(wait=not source.live)
        self._stopping = False  # a plain flag: a signal handler may set it whatever the main thread holds

    def stop(self) -> None:
        """Makes `run` return soon. May be called from a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Works until the end. The source is closed by then, the sinks are not.

        Raises:
            SourceError: the source failed, or ended before its first frame.
        """
        capture = threading.Thread(target=self._capture, name="capture", daemon=True)
        capture.start()
        last = Observation(0, time.monotonic_ns(), State.NO_CAMERA)
        frames = 0
        beat = time.monotonic()
        try:
            while not self._stopping:
                frame = self._slot.take(min(HEARTBEAT_S, STOP_POLL_S))
                if frame is not None:
                    last = self._step(frame)
                    frames += 1
                    beat = time.monotonic()
                elif self._slot.ended:
                    break
                elif time.monotonic() - beat >= HEARTBEAT_S:
                    self._send(None, Observation(last.sequence, last.captured_ns, State.NO_CAMERA))
                    beat = time.monotonic()
        finally:
            self._slot.end()
            capture.join(CLOSE_S)  # the capture thread closes its source: closing under a read crashes OpenCV
        if capture.is_alive():
            _log.warning("%s still blocks after %g s; it is left to the end of the process", self._source.name, CLOSE_S)
        if self._stopping:
            return
        if self._slot.error is not None:
            raise self._slot.error
        if not frames:
            raise SourceError(f"source {self._source.name} ended before its first frame; expected at least one")

    def _step(self, frame: Frame) -> Observation:
        times = self._engine.times
        with times.stage("engine"):
            observation = self._engine.process(frame)
        self._send(frame, observation)
        if self._source.live:  # a recording's frames carry their place in it, not when they were read
            times.add("capture to sent", time.monotonic_ns() - frame.captured_ns)
        return observation

    def _send(self, frame: Frame | None, observation: Observation) -> None:
        for sink in self._sinks:
            sink(frame, observation)

    def _capture(self) -> None:
        try:
            while not self._slot.ended and (frame := self._source.read()) is not None:
                self._slot.put(frame)
            self._slot.end()
        except Exception as error:  # handed to run(), which raises it
            self._slot.end(error)
        finally:
            self._source.close()
