"""What a run amounted to: counts, latencies, jitter; and its status line on the way."""

from __future__ import annotations

import contextlib
import os
import queue
import threading
import time
from collections import Counter
from typing import Any, TextIO

import numpy as np

from fkp_edge.core.geometry import crop_from_track
from fkp_edge.core.keypoints import Points
from fkp_edge.core.observation import Frame, Observation, State
from fkp_edge.device.timing import StageTimes

__all__ = ["StatusLine", "Summary"]


class Summary:
    """A sink that counts; its memory does not grow with the run."""

    def __init__(self, mean_shape: Points, times: StageTimes) -> None:
        self._mean_shape = mean_shape
        self._times = times
        self._started = time.monotonic()
        self.first_face_s: float | None = None
        """Seconds from the start to the first face."""
        self.frames = 0
        self.dropped = 0
        self.states: Counter[State] = Counter()
        self.ids = 0
        """Faces followed."""
        self.searches = 0
        """Whole-frame searches; set by whoever owns the search."""
        self.refused = 0
        """Frames that were no pictures, or older than one before; set by whoever owns the runtime."""
        self.reopened = 0
        """Times that a camera was opened again; set likewise."""
        self.best_proposal: tuple[float, float] | None = None
        """Best score of a proposed face and its side in pixels, None where none was proposed; set by the engine's."""
        self.found_score: float | None = None
        """Score from which a proposal is a face; set likewise, None where nobody did."""
        self._highest_id = 0
        self._jitter = _Jitter()

    def __call__(self, frame: Frame | None, observation: Observation) -> None:
        """Counts one observation."""
        if frame is None:
            return
        self.frames += 1
        self.dropped += observation.dropped
        self.states[observation.state] += 1
        for face in observation.faces:
            if self.first_face_s is None:
                self.first_face_s = time.monotonic() - self._started
            self.ids += face.id > self._highest_id
            self._highest_id = max(self._highest_id, face.id)
        if frame.truth is not None and observation.state is State.TRACKING and _whole(frame.truth, frame):
            points = observation.faces[0].points
            if points.shape == frame.truth.shape:  # a model of another schema has no counterpart in the truth
                self._jitter.add(points, frame.truth, self._mean_shape)

    @property
    def jitter_px(self) -> float | None:
        """Jitter against the known motion; None where none is known."""
        return self._jitter.rms_px()

    def figures(self) -> dict[str, Any]:
        """The summary as plain values."""
        return {
            "frames": self.frames,
            "dropped": self.dropped,
            "refused": self.refused,
            "reopened": self.reopened,
            "states": {str(state): n for state, n in self.states.most_common()},
            "faces": self.ids,
            "searches": self.searches,
            "first_keypoints_s": self.first_face_s,
            "jitter_px": self.jitter_px,
            "best_proposal": self.best_proposal and {"score": self.best_proposal[0], "side_px": self.best_proposal[1]},
            "stages_ms": {
                name: {"count": count, "p50": p50, "p95": p95}
                for name, (count, p50, p95) in self._times.percentiles_ms().items()
            },
        }

    def _why_none(self) -> str:
        """Why no face was followed, and what to do."""
        if self.best_proposal is None:
            return "none was proposed; come nearer, into the light, and look at the camera"
        score, side = self.best_proposal
        return (
            f"the best proposal scored {score:.2f} at {side:.0f} pixels, below found_score = {self.found_score:g}; "
            "come nearer or into the light, or lower found_score in [tracking]"
        )

    def table(self) -> str:
        """The summary as text."""
        f = self.figures()
        shares = ", ".join(f"{state} {100 * n / self.frames:.0f} %" for state, n in f["states"].items())
        rows = [
            ("frames", f"{f['frames']} ({f['dropped']} dropped)"),
            ("states", shares),
            ("faces", f"{f['faces']} followed; whole-frame searches: {f['searches']}"),
        ]
        if not self.ids and self.found_score is not None:
            rows.append(("no face", self._why_none()))
        if self.refused or self.reopened:
            rows.append(("camera", f"opened again {self.reopened} times; {self.refused} frames were not usable"))
        if self.first_face_s is not None:
            rows.append(("first keypoints", f"{self.first_face_s:.2f} s after the source was opened"))
        if self.jitter_px is not None:
            rows.append(("jitter", f"{self.jitter_px:.2f} px RMS: how far points wander about the known motion"))
        lines = [f"{name:<18}{value}" for name, value in rows]
        lines.append(f"{'stage':<18}{'count':>7}{'p50 ms':>9}{'p95 ms':>9}")
        for name, stage in f["stages_ms"].items():
            lines.append(f"  {name:<16}{stage['count']:>7}{stage['p50']:>9.2f}{stage['p95']:>9.2f}")
        return "\n".join(lines)


def _whole(points: Points, frame: Frame) -> bool:
    """True where no point is outside the frame: of a face cut by the edge, the network guesses the rest."""
    height, width = frame.grey.shape
    return bool((points >= 0).all() and (points < [width, height]).all())


class _Jitter:
    """Spread of the points about the known motion, their constant offsets removed, by running sums."""

    def __init__(self) -> None:
        self._count = 0
        self._sum: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None = None
        self._squares = 0.0
        self._sides = 0.0

    def add(self, points: Points, truth: Points, mean_shape: Points) -> None:
        crop = crop_from_track(truth, mean_shape)
        offset = crop.to_units(points).astype(np.float64) - crop.to_units(truth)
        self._sum = offset if self._sum is None else self._sum + offset
        self._squares += float((offset**2).sum())
        self._sides += crop.side
        self._count += 1

    def rms_px(self) -> float | None:
        if self._sum is None or self._count < 2:
            return None
        mean = self._sum / self._count
        variance = (self._squares / self._count - float((mean**2).sum())) / len(mean)
        return float(np.sqrt(max(variance, 0.0))) * self._sides / self._count


class StatusLine:
    """A sink that shows one live line on a terminal, and plain lines elsewhere.

    It writes from a thread of its own: a terminal that is paused (Ctrl-S) or a pipe that nobody reads must not stop
    the stream.
    """

    EVERY_S = 0.1
    PLAIN_EVERY_S = 2.0
    CLOSE_S = 0.5

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._live = out.isatty()
        self._rate: float | None = None
        self._texts: queue.Queue[str | None] = queue.Queue(8)
        self._thread = threading.Thread(target=self._write, name="status", daemon=True)
        self._thread.start()
        self._shown = 0.0
        self._state: State | None = None
        self._frames = 0
        self._since = time.monotonic()
        self._width = 0
        self._ended = False

    def __call__(self, frame: Frame | None, observation: Observation) -> None:
        """Shows one observation, where it is time to."""
        self._frames += frame is not None
        now = time.monotonic()
        changed = observation.state is not self._state
        if not (changed and not self._live) and now - self._shown < (
            self.EVERY_S if self._live else self.PLAIN_EVERY_S
        ):
            return
        if now - self._since > 1.0:
            self._rate = self._frames / (now - self._since)
            self._frames, self._since = 0, now
        self._shown, self._state = now, observation.state
        with contextlib.suppress(queue.Full):  # nobody reads: this one is not shown
            self._texts.put_nowait(self._text(observation))

    def _text(self, observation: Observation) -> str:
        parts = [f"frame {observation.sequence:>6}", f"{observation.state:<9}"]
        if self._rate is not None:
            parts.append(f"{self._rate:5.1f} frames/s")
        parts += [f"face {f.id} score {f.score:.2f} at {f.box[0]:.0f},{f.box[1]:.0f}" for f in observation.faces]
        return "  ".join(parts)

    def _write(self) -> None:
        with contextlib.suppress(OSError, ValueError):  # whoever read it is gone, or the file is closed
            while (text := self._texts.get()) is not None:
                self._show(text)
            if self._live and self._width:
                self._out.write("\n")
                self._out.flush()

    def _show(self, text: str) -> None:
        if self._live:
            columns = os.get_terminal_size(self._out.fileno()).columns
            text = text[: columns - 1]  # a line that wraps cannot be rewritten
            self._out.write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._out.write(text + "\n")
        self._out.flush()

    def end(self) -> None:
        """Leaves the live line; twice is fine."""
        if self._ended:
            return
        self._ended = True
        with contextlib.suppress(queue.Full):
            self._texts.put(None, timeout=self.CLOSE_S)
        self._thread.join(self.CLOSE_S)
