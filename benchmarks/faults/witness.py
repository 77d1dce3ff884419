"""A client that reads the stream from beginning to end and looks whether each message can be true after those before.

The camera's scenes never hold a face near the edge, so that a point far outside the frame is a fault.
"""

from __future__ import annotations

import math
import time
from array import array
from collections import Counter
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any

import msgspec

from faults.pictures import LARGEST
from fkp_edge.stream import Hello, ObservationMessage, connect
from fkp_edge.stream.protocol.messages import FaceMessage

__all__ = ["Consistency", "watch"]

MAX_SHOWN = 20
HIDDEN_NS = 2_500_000_000
"""A face may come back with its id after 2 s behind another one; some more for messages that were not read."""
HOLD_NS = 250_000_000
SILENCE_S = 1.5
"""A message goes out once a second at least; more than this is noted, for faults to explain."""


class Consistency:
    """What is wrong with a stream so far, and what faults must explain."""

    def __init__(self, points: int) -> None:
        """`points`: of a face."""
        self.points = points
        self.violations: list[str] = []
        """The first `MAX_SHOWN`."""
        self.wrong: Counter[str] = Counter()
        self.states: Counter[str] = Counter()
        self.notes: list[tuple[float, str]] = []
        """Monotonic clock and what happened: `no_camera`, `silent`, `lost at once`."""
        self.tracked_s = array("d")
        """Monotonic clock when each message with a face that was seen arrived."""
        self.messages = self.frames = self.dropped = self.unread = self.points_outside = 0
        self._last: ObservationMessage | None = None
        self._frame: ObservationMessage | None = None
        """Last one with a new frame."""
        self._at_s: float | None = None
        self._seen_ns: dict[int, int] = {}
        self._highest = 0

    def take(self, message: ObservationMessage, at_s: float) -> None:
        """Judges the next message, which came at `at_s` of the monotonic clock."""
        self.messages += 1
        self.states[message.state] += 1
        if self._at_s is not None and at_s - self._at_s > SILENCE_S:
            self.notes.append((self._at_s, "silent"))
        if message.state == "no_camera" and (self._last is None or self._last.state != "no_camera"):
            self.notes.append((at_s, "no_camera"))
        if self._frame is not None or message.state != "no_camera":  # before its first frame the camera has no place
            self._check_order(message, at_s)
        self._check_faces(message)
        if message.state == "tracking":
            self.tracked_s.append(at_s)
        self._last, self._at_s = message, at_s

    def _fail(self, kind: str, text: str) -> None:
        self.wrong[kind] += 1
        if len(self.violations) < MAX_SHOWN:
            self.violations.append(f"{kind}: {text}")

    def _check_order(self, message: ObservationMessage, at_s: float) -> None:
        last, frame = self._last, self._frame
        if last is not None and message.sent_ns < last.sent_ns:
            self._fail("sent_ns goes back", f"{message.sent_ns} after {last.sent_ns}")
        if frame is not None and message.sequence == frame.sequence:
            self._check_repetition(message, frame)
            return
        if frame is not None and message.sequence < frame.sequence:
            self._fail("sequence goes back", f"{message.sequence} after {frame.sequence}")
        if frame is not None and message.captured_ns <= frame.captured_ns:
            self._fail("captured_ns does not rise", f"{message.captured_ns} after {frame.captured_ns}")
        if message.captured_ns > message.sent_ns:
            self._fail("sent before captured", f"{message.sequence}")
        if frame is not None:
            self._check_state(message, frame, at_s)
        self._check_ids(message)
        self.frames += 1
        self._frame = message

    def _check_repetition(self, message: ObservationMessage, frame: ObservationMessage) -> None:
        same = (message.captured_ns, message.dropped) == (frame.captured_ns, 0)
        if not same or (message.state != "no_camera" and (message.state, message.faces) != (frame.state, frame.faces)):
            self._fail("no true repetition", f"{message} after {frame}"[:300])

    def _check_state(self, message: ObservationMessage, frame: ObservationMessage, at_s: float) -> None:
        unread = message.sequence - frame.sequence - 1 - message.dropped
        self.dropped += message.dropped
        self.unread += max(unread, 0)
        if unread < 0:
            self._fail("dropped is no part of the gap", f"{message.dropped} of {frame.sequence}..{message.sequence}")
        if unread:
            return  # what was between is not known
        if message.state == "held" and frame.state not in ("tracking", "held"):
            self._fail("held after nothing", f"{frame.state} before {message.sequence}")
        waited = message.captured_ns - frame.captured_ns
        if (frame.state, message.state) == ("tracking", "searching") and waited <= HOLD_NS:
            self.notes.append((at_s, "lost at once"))

    def _check_ids(self, message: ObservationMessage) -> None:
        now = message.captured_ns
        for face in message.faces:
            if face.id not in self._seen_ns and face.id <= self._highest:
                self._fail("an id is used again", f"{face.id} after {self._highest}")
            self._seen_ns[face.id] = now
            self._highest = max(self._highest, face.id)
        # only a frame without it ends a face: after a pause of the camera it may be where it was
        self._seen_ns = {number: at for number, at in self._seen_ns.items() if now - at <= HIDDEN_NS}

    def _check_faces(self, message: ObservationMessage) -> None:
        if bool(message.faces) != (message.state in ("tracking", "held")):
            self._fail("faces do not fit the state", f"{len(message.faces)} faces while {message.state}")
        if len({face.id for face in message.faces}) < len(message.faces):
            self._fail("an id twice in a message", f"{message.sequence}")
        for face in message.faces:
            self._check_face(face)

    def _check_face(self, face: FaceMessage) -> None:
        x, y, width, height = face.box
        numbers = [*face.box, face.score, *(value for point in face.points for value in point)]
        if len(face.points) != self.points or not all(map(math.isfinite, numbers)) or not 0 <= face.score <= 1:
            self._fail("a face that is none", f"{face}"[:300])
            return
        outside = sum(not (0 <= px < LARGEST[0] and 0 <= py < LARGEST[1]) for px, py in face.points)
        self.points_outside += outside
        middle_in = 0 <= x + width / 2 < LARGEST[0] and 0 <= y + height / 2 < LARGEST[1]
        if not middle_in or any(
            not (-width <= px < LARGEST[0] + width and -height <= py < LARGEST[1] + height) for px, py in face.points
        ):
            self._fail("a face outside the frame", f"{face.box}, points {face.points[:3]}")

    def record(self) -> dict[str, Any]:
        return {
            "messages": self.messages,
            "frames": self.frames,
            "frames_dropped_by_the_device": self.dropped,
            "frames_sent_but_not_read_in_time": self.unread,
            "states": dict(self.states),
            "faces": self._highest,
            "points_outside_the_frame": self.points_outside,
            "wrong": dict(self.wrong),
            "violations": self.violations,
        }


class Testimony(msgspec.Struct):
    """What the witness leaves in a file."""

    record: dict[str, Any]
    notes: list[tuple[float, str]]
    tracked_s: list[float]
    hellos: int
    ended: str
    """Why reading ended; empty where the server said goodbye."""


def watch(url: str, token: str, out: Path, tracked: Synchronized[float], ready: Any) -> None:
    """Reads the stream at `url` until it ends, on one connection; writes a `Testimony` to `out`.

    Args:
        url: of the stream.
        token: for it.
        out: file to write.
        tracked: gets the monotonic clock of the newest message with a face.
        ready: an event that is set at the first message.
    """
    checks, hellos, ended = Consistency(0), 0, ""
    try:
        for message in connect(url, token=token, reconnect=False):
            at_s = time.monotonic()
            if isinstance(message, Hello):
                hellos += 1
                checks.points = len(message.points)
            elif isinstance(message, ObservationMessage):
                checks.take(message, at_s)
                ready.set()
                if message.state == "tracking":
                    tracked.value = at_s
    except Exception as error:  # a line that cannot be read is what it is there to find
        ended = f"{type(error).__name__}: {error}"
    testimony = Testimony(checks.record(), checks.notes, checks.tracked_s.tolist(), hellos, ended)
    out.write_bytes(msgspec.json.encode(testimony))
