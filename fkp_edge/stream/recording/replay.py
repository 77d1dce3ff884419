"""Recordings used again: streamed as if they happened now, or written as CSV."""

from __future__ import annotations

import csv
import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from fkp_edge.errors import InputError
from fkp_edge.stream.protocol.address import Address
from fkp_edge.stream.protocol.messages import FaceMessage, Hello, Measures, ObservationMessage
from fkp_edge.stream.recording.recording import read_recording
from fkp_edge.stream.server.publishers import Access, Publishers

__all__ = ["Replay", "export_csv"]

POLL_S = 0.0005
LATE_S = 1.0
MAX_SLEEP_S = 0.05
"""Until `stop` is noticed."""


class Replay:
    """A recording being streamed: the observations are, byte for byte, those recorded."""

    def __init__(self, path: Path, addresses: Sequence[Address], access: Access) -> None:
        """Opens the streams; clients can connect when this returns.

        Raises:
            InputError: the file is no recording.
            StreamError: an address cannot be used.
        """
        self._messages = read_recording(path)
        _, first = next(self._messages)
        assert isinstance(first, Hello)  # read_recording checks
        self._hello = first
        self._stopping = False  # no lock: a signal handler must not wait for who holds it, which is what it interrupted
        self.outputs = Publishers(addresses, lambda: self._hello, access)

    def run(self, *, fast: bool, say: Callable[[str], None] = lambda _: None) -> int:
        """Streams to the end, then closes: the number of observations.

        Args:
            fast: as fast as the slowest client reads, from the first client on; otherwise at the recording's own pace.
            say: called with what is waited for, where no client comes within a second.

        Raises:
            InputError: the recording is damaged.
        """
        count = 0
        start_ns: int | None = None
        with self.outputs:
            if fast:
                self._wait_for_the_first(say)
            for line, message in self._messages:
                if isinstance(message, Hello):
                    if fast:
                        self._wait_for_clients()  # what came before is read with the hello before
                    self._hello = message
                    continue
                if start_ns is None:
                    start_ns = time.monotonic_ns() - message.sent_ns
                if fast:
                    self._wait_for_clients()
                else:
                    self._wait_until(start_ns + message.sent_ns)
                if self._stopping:
                    break
                self.outputs.publish(message, line)
                count += 1
            if fast:
                self._wait_for_clients()
        return count

    def stop(self) -> None:
        """Makes `run` return soon. May be called from a signal handler or another thread."""
        self._stopping = True

    def _wait_for_clients(self) -> None:
        while not (self.outputs.are_served or self._stopping):
            time.sleep(POLL_S)

    def _wait_for_the_first(self, say: Callable[[str], None]) -> None:
        late_s = time.monotonic() + LATE_S
        while not (self.outputs.are_served or self._stopping):
            if time.monotonic() > late_s:
                say("waiting for a client: connect one, such as fkp-edge watch, or leave --fast out")
                return
            time.sleep(POLL_S)

    def _wait_until(self, when_ns: int) -> None:
        while (rest_ns := when_ns - time.monotonic_ns()) > 0 and not self._stopping:
            time.sleep(min(rest_ns / 1e9, MAX_SLEEP_S))


FRAME = ("sequence", "captured_ns", "sent_ns", "state", "dropped")
FACE = ("face", "score", "box_x", "box_y", "box_width", "box_height", "yaw", "pitch", "roll")
MEASURES = Measures.__struct_fields__[:-1]
MEASURED = (*MEASURES, "blink_start_ns", "blink_end_ns", "position_x", "position_y", "position_z")
"""Between these and the points, where the recording has them."""


def export_csv(recording: Path, out: Path) -> int:
    """Writes the new file `out`, whole or not at all: the number of rows below its header.

    Raises:
        InputError: `recording` is none, or changes its points; or `out` exists or cannot be written.
    """
    table = _table(recording)
    header = next(table)  # a file that is no recording makes no table
    if out.exists():
        raise InputError(f"{out} exists already; name another --out, or remove it")
    partial = out.with_name(f".{out.name}.part")  # half a table looks like a whole one
    rows = 0
    try:
        with partial.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(header)
            for row in table:
                writer.writerow(row)
                rows += 1
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out)
    except OSError as error:
        why = f"cannot write {out}: {error.strerror}; name a file in a folder with room as --out"
        raise InputError(why) from error
    finally:
        partial.unlink(missing_ok=True)
    return rows


def _table(recording: Path) -> Iterator[list[object]]:
    """The header, then every row."""
    messages = read_recording(recording)
    _, hello = next(messages)
    assert isinstance(hello, Hello)  # read_recording checks
    measured = _is_measured(recording)
    points = [f"{_safe(name)}_{axis}" for name in hello.points for axis in "xy"]
    yield [*FRAME, *FACE, *(MEASURED if measured else ()), *points]
    for _, message in messages:
        if isinstance(message, ObservationMessage):
            yield from _rows(message, measured=measured)
        elif message.points != hello.points:
            raise InputError(f"{recording} changes its points on the way; one table cannot hold both")


def _is_measured(recording: Path) -> bool:
    """Whether any face of the recording has measures: its header does not say."""
    seen = (message for _, message in read_recording(recording) if isinstance(message, ObservationMessage))
    return any(face.measures is not None for message in seen for face in message.faces)


def _rows(message: ObservationMessage, *, measured: bool) -> Iterator[list[object]]:
    frame = [getattr(message, name) for name in FRAME]
    for face in message.faces:
        points = (value for point in face.points for value in point)
        yield [*frame, *_face(face), *(_measures(face) if measured else ()), *points]
    if not message.faces:
        yield frame


def _face(face: FaceMessage) -> list[object]:
    pose = ("", "", "") if face.pose is None else (face.pose.yaw, face.pose.pitch, face.pose.roll)
    return [face.id, face.score, *face.box, *pose]


def _measures(face: FaceMessage) -> list[object]:
    found, place = face.measures or Measures(), face.position
    values = [getattr(found, name) for name in MEASURES]
    xyz = (None,) * 3 if place is None else (place.x, place.y, place.z)
    return ["" if value is None else value for value in (*values, *(found.blink or (None, None)), *xyz)]


def _safe(name: str) -> str:
    """A spreadsheet takes a cell that starts with one of these for a formula."""
    return f"'{name}" if name[:1] in ("=", "+", "-", "@") else name
