"""Recordings: a stream's lines in a file, after a header. A name that ends in `.gz` is compressed.

A recording that ends anywhere, because the process was killed or the power went, is readable up to there: lines are
handed to the system as they come, compressed ones at least once a second.
"""

from __future__ import annotations

import gzip
import itertools
import logging
import os
import queue
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from fkp_edge.core.files import Closing
from fkp_edge.errors import InputError, StreamError
from fkp_edge.stream.protocol.datagrams import LineBuffer
from fkp_edge.stream.protocol.messages import MAX_SERVER_LINE_BYTES, PROTOCOL, Hello, ObservationMessage, decode_server

__all__ = ["GB", "Recorder", "Recording", "check_recording", "free_name", "is_smoothed", "read_recording"]

VERSION = 1
MAX_WAITING = 3000
"""Lines kept for a disk that is slow: 100 s at 30 frames a second."""
FLUSH_S = 1.0
JOIN_S = 10.0
GB = 1_000_000_000
CHUNK_BYTES = 64 * 1024

_log = logging.getLogger(__name__)


class Recording(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag="recording"):
    """The first line of a recording."""

    version: int = VERSION
    protocol: int = PROTOCOL
    """Version of the lines that follow: hellos and observations."""
    started: str
    """Date and time in UTC, ISO 8601."""
    smoothed: bool | msgspec.UnsetType = msgspec.UNSET
    """Whether the points were smoothed; absent where who recorded does not know."""


def check_recording(path: Path) -> None:
    """Refuses a place that no recording can be written to; opens nothing.

    Raises:
        InputError: its folder is missing, or it is one.
    """
    if path.is_dir():
        raise InputError(f"cannot record to {path}: it is a folder; expected a file in it")
    if not path.parent.is_dir():
        raise InputError(f"cannot record to {path}: there is no folder {path.parent}; make it, or record elsewhere")


def free_name(path: Path) -> Path:
    """`path`, or the next name beside it that is free: a.jsonl.gz, a-2.jsonl.gz, a-3.jsonl.gz and so on."""
    ending = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    stem = path.name.removesuffix(ending)
    others = (path.with_name(f"{stem}-{number}{ending}") for number in itertools.count(2))
    return next(name for name in itertools.chain([path], others) if not os.path.lexists(name))


class Recorder(Closing):
    """Writes lines to a new file from a thread of its own: a slow disk costs lines, not frames."""

    def __init__(self, path: Path, *, limit_bytes: int | None = None, smoothed: bool | None = None) -> None:
        """Creates the file and writes its header.

        Args:
            path: of the new file.
            limit_bytes: of the file, as it is on the disk; where it is reached, the recording ends, whole, and the log
                says so.
            smoothed: whether the points of the lines are, where that is known.

        Raises:
            InputError: the file exists, or cannot be created.
        """
        self._path = path
        self._limit_bytes = limit_bytes
        self._is_full = False
        try:
            self._raw: BinaryIO = path.open("xb")
        except FileExistsError as error:
            raise InputError(f"recording {path} exists already; name another file, or remove it") from error
        except OSError as error:
            raise InputError(f"cannot record to {path}: {error.strerror}; expected a file in a folder") from error
        self._file = gzip.GzipFile(fileobj=self._raw, mode="wb", filename="") if path.suffix == ".gz" else self._raw
        self._lines: queue.Queue[bytes | None] = queue.Queue(MAX_WAITING)
        self._taken = 0
        self._lost = 0
        self._error: OSError | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="fkp-edge-record", daemon=True)
        self._thread.start()
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        header = Recording(started=started, smoothed=msgspec.UNSET if smoothed is None else smoothed)
        self.write(msgspec.json.encode(header) + b"\n")

    def write(self, line: bytes) -> None:
        """Takes a line of a stream; never waits. Nothing once closed."""
        if self._closed or self._is_full:
            return
        try:
            self._lines.put_nowait(line)
            self._taken += 1
        except queue.Full:
            self._lost += 1

    def close(self) -> None:
        """Writes what waits; a recording of nothing is removed. Twice is fine.

        Raises:
            StreamError: not all could be written.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self._lines.put(None, timeout=JOIN_S)
        except queue.Full:
            _log.debug("the disk takes nothing")
        self._thread.join(JOIN_S)
        if self._taken <= 1:
            self._path.unlink(missing_ok=True)
        if self._error is not None:
            why = self._error.strerror or self._error
            raise StreamError(f"recording {self._path} is incomplete: {why}; make room, or record elsewhere")
        if self._lost or self._thread.is_alive():
            lost = self._lost + self._lines.qsize()
            raise StreamError(f"recording {self._path} lacks {lost} lines: its disk is too slow; record elsewhere")

    def __repr__(self) -> str:
        return f"<Recorder {self._path} {'closed' if self._closed else 'open'}>"

    def _run(self) -> None:
        try:
            self._write_all()
        except OSError as error:  # a full disk, a stick pulled out: the stream goes on without
            _log.warning("recording %s stops: %s", self._path, error.strerror or error)
            self._error = error
        while self._error is not None and self._lines.get() is not None:
            pass  # keeps `write` from counting what cannot be written as a slow disk

    def _end_at_limit(self) -> None:
        size = f"{(self._limit_bytes or 0) / GB:g} GB"
        _log.warning("recording %s ends at %s; raise --record-limit, or start a new one", self._path, size)
        self._is_full = True
        while True:  # what came meanwhile
            try:
                self._lines.get_nowait()
            except queue.Empty:
                return

    def _write_all(self) -> None:
        flushed_s = 0.0
        with self._raw, self._file:
            while True:
                try:
                    line = self._lines.get(timeout=FLUSH_S)
                except queue.Empty:
                    line = b""
                if line is None:
                    return
                if self._limit_bytes is not None and self._raw.tell() + len(line) > self._limit_bytes:
                    self._end_at_limit()
                    return
                self._file.write(line)
                if self._file is self._raw and self._lines.empty():
                    self._file.flush()
                if time.monotonic() - flushed_s >= FLUSH_S:
                    self._file.flush()
                    os.fsync(self._raw.fileno())
                    flushed_s = time.monotonic()


def read_recording(path: Path) -> Iterator[tuple[bytes, Hello | ObservationMessage]]:
    """The lines of a recording and what they say; ends at the last whole line.

    Raises:
        InputError: the file is missing, is no recording or is damaged before its end.
    """
    number = 0
    for number, line in enumerate(_lines(path), start=1):
        if number == 1:
            _check_header(path, line)
            continue
        try:
            message = decode_server(line)
        except StreamError as error:
            raise InputError(f"line {number} of {path}: {error}") from error
        if not isinstance(message, Hello | ObservationMessage):
            raise InputError(f"line {number} of {path} is no hello and no observation; expected a recording's line")
        if number == 2 and not isinstance(message, Hello):
            raise InputError(f"line 2 of {path} is no hello; expected one before the first observation")
        yield line, message
    if number < 2:
        raise InputError(f"{path} holds no observations; expected a recording made with --record")


def is_smoothed(path: Path) -> bool | None:
    """Whether the points in a recording were smoothed when it was made; `None` where it does not say.

    Raises:
        InputError: the file is missing, or is no recording.
    """
    return _check_header(path, next(_lines(path), b"")).smoothed


def _check_header(path: Path, line: bytes) -> _Versions:
    what = "expected a recording made with --record"
    try:
        header = msgspec.json.decode(line, type=_Versions)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} does not start as a recording does ({error}); {what}") from None
    if (header.version, header.protocol) != (VERSION, PROTOCOL):
        raise InputError(
            f"{path} is of version {header.version} with protocol {header.protocol}, and this fkp-edge reads "
            f"{VERSION} with {PROTOCOL}; upgrade fkp-edge"
        )
    return header


class _Versions(msgspec.Struct, frozen=True):
    """What the header of any version has."""

    type: Literal["recording"]
    version: int
    protocol: int
    smoothed: bool | None = None


def _lines(path: Path) -> Iterator[bytes]:
    """Whole lines; what follows the last newline was being written when the recording ended."""
    lines = LineBuffer(MAX_SERVER_LINE_BYTES)
    try:
        for chunk in _chunks(path):
            lines.feed(chunk)
            while line := lines.next_line():
                yield line
    except StreamError as error:
        raise InputError(f"{path}: {error}") from error
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}; expected a recording") from error
    except zlib.error as error:
        raise InputError(f"{path} is damaged ({error}); expected a recording made with --record") from error


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        if path.suffix != ".gz":
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
            return
        unpack = zlib.decompressobj(wbits=31)  # not gzip.open: that raises at an end in the middle
        while chunk := file.read(CHUNK_BYTES):
            while chunk and not unpack.eof:
                yield unpack.decompress(chunk, CHUNK_BYTES)
                chunk = unpack.unconsumed_tail
