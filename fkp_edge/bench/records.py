"""What a measurement found, as it is saved: version 1 of the JSON that `fkp-edge bench --json` prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np

from fkp_edge.core.files import read_bounded
from fkp_edge.device.board import Board
from fkp_edge.errors import InputError
from fkp_edge.evaluation.comparison import Comparison
from fkp_edge.model.edgetpu import Accelerator

__all__ = [
    "BLOCKS",
    "FORMAT",
    "STAGES",
    "TAIL_COUNT",
    "Accuracy",
    "Latency",
    "Loop",
    "Measured",
    "OpenLoop",
    "Result",
    "Software",
    "Start",
    "latency",
    "read_result",
]

FORMAT = 1
MAX_BYTES = 32 * 2**20
BLOCKS = 40
TAIL_COUNT = 50
"""Durations that a span has at least for a 99th percentile of its own."""
STAGES = (
    "capture wait",
    "search",
    "crop",
    "infer",
    "decode",
    "filter",
    "pose",
    "engine",
    "encode",
    "send",
    "end to end",
)
"""In the order of a frame. `capture wait`: from when it was due, or taken, to the engine's start. `engine`: all between
frame and observation, with crop to pose, and in the closed loop the search. `send`: from the line to when a client in
another process has decoded it. `end to end`: from when the frame was due, or taken, to there."""


Some = Annotated[int, msgspec.Meta(ge=0)]
Amount = Annotated[float, msgspec.Meta(ge=0)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Amounts = Annotated[tuple[Amount, ...], msgspec.Meta(min_length=1)]
Threads = Annotated[str, msgspec.Meta(pattern="^[1-9][0-9]{0,2}$")]


class Latency(msgspec.Struct, frozen=True, kw_only=True):
    """Durations of one stage, milliseconds."""

    count: Annotated[int, msgspec.Meta(ge=1)]
    p50_ms: Amount
    p90_ms: Amount
    p95_ms: Amount
    p99_ms: Amount
    max_ms: Amount
    blocks_ms: Amounts
    """Medians of at most `BLOCKS` spans of equal count in the order of time: what `compare` goes by."""
    tails_ms: Amounts
    """99th percentiles of at most `BLOCKS` spans of at least `TAIL_COUNT` durations (one span of all where they are
    fewer): what `compare` goes by."""


class Loop(msgspec.Struct, frozen=True, kw_only=True):
    """Frames worked on in a span of time."""

    seconds: Positive
    frames: Some
    """That the engine worked on."""
    dropped: Some
    """That came and were replaced by newer ones before the engine took them."""
    missed: Some
    """Observations that did not reach the client: a newer one took their place."""
    stages: dict[str, Latency]
    """By names of `STAGES`."""

    def __post_init__(self) -> None:
        if self.missed > self.frames:
            raise ValueError(f"{self.missed} of {self.frames} frames missed")

    @property
    def due(self) -> int:
        """Frames that the client should have had."""
        return self.frames + self.dropped

    @property
    def lost(self) -> int:
        """Frames of those that it had not."""
        return self.dropped + self.missed


class OpenLoop(msgspec.Struct, frozen=True, kw_only=True):
    """Frames come at their own rate, whether or not the engine is done."""

    rate: Positive | None
    """Frames a second; None is a camera's own."""
    first_minute: Loop
    steady: Loop | None
    """What came after it; None where the measurement was over by then."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """`fkp-edge run` in a process of its own, from its start on."""

    listening_s: Positive
    """Until the stream could be connected to."""
    first_observation_s: Positive | None
    """Until a client had an observation; None where none came in time."""
    first_keypoints_s: Positive | None
    """Until a client had keypoints; None where no face was seen in time."""
    peak_mb: Amount
    """Most resident memory of the process (VmHWM), MiB."""


class Accuracy(msgspec.Struct, frozen=True, kw_only=True):
    """A network on labelled crops, the same ones in the same run as the others."""

    sets: dict[str, Some]
    """Set -> faces."""
    crops: Annotated[int, msgspec.Meta(ge=1)]
    latency: Latency
    """Of the network alone on each crop; networks take turns crop by crop."""
    nme_percent: Amount
    """Mean over faces, of the distance of the outer eye corners."""
    rmse_px: Amount
    """Of a coordinate, pixels of the 96x96 crop."""
    nme_by_face: tuple[Amount | None, ...]
    """Percent, of every face in order; null where its eye corners are not labelled."""
    subject_by_face: tuple[Annotated[int, msgspec.Meta(ge=0)], ...] | None = None
    """Number of the person of every face in order; null where each is taken for a person of its own."""
    baseline: str
    """The most precise of the given networks of its schema, that the loss is against."""
    loss: Comparison | None
    """None for the baseline itself."""

    def __post_init__(self) -> None:
        if len(self.nme_by_face) != sum(self.sets.values()):
            raise ValueError(f"errors of {len(self.nme_by_face)} faces, but {sum(self.sets.values())} in the sets")
        if self.subject_by_face is not None and len(self.subject_by_face) != len(self.nme_by_face):
            raise ValueError(f"people of {len(self.subject_by_face)} faces, but errors of {len(self.nme_by_face)}")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One model file."""

    model: str
    sha256: str
    """Of the flatbuffer."""
    schema: str
    arithmetic: Literal["integer", "float", "mixed"]
    accelerator: Accelerator
    """What the network ran on."""
    file_bytes: Some
    flatbuffer_bytes: Some
    start: Annotated[tuple[Start, ...], msgspec.Meta(min_length=1)]
    """In the order in which they were made."""
    closed: Loop
    """The next frame as soon as the one before is handed to the stream."""
    open: OpenLoop
    network: dict[Threads, Latency]
    """Threads -> one inference, nothing else; turns are taken by models and threads. An Edge TPU has one."""
    accuracy: Accuracy | None


class Software(msgspec.Struct, frozen=True, kw_only=True):
    """What ran it."""

    fkp_edge: str
    commit: str | None
    """Of the source tree that it ran from, with `+` where files were changed; None where it is none."""
    python: str
    runtime: str
    numpy: str
    opencv: str


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """A measurement on one machine."""

    kind: Literal["fkp-edge bench"] = "fkp-edge bench"
    format: int = FORMAT
    made_at: str
    """UTC, ISO 8601."""
    source: str
    frame_size: tuple[int, int]
    """Width and height, pixels."""
    seconds: Positive
    """Of each open loop."""
    quick: bool
    software: Software
    before: Board
    after: Board
    load_before: Amount
    """Runnable processes, mean of the minute before."""
    reference: Latency
    """Of work that never changes, see `reference.py`: what it takes longer is the machine's doing."""
    warnings: tuple[str, ...]
    """Why figures may not be what the machine can do."""
    models: Annotated[tuple[Measured, ...], msgspec.Meta(min_length=1)]
    """Each with a name of its own."""

    def __post_init__(self) -> None:
        if not self.reference.p50_ms:
            raise ValueError("reference.p50_ms is 0")
        if len({model.model for model in self.models}) < len(self.models):
            raise ValueError("two models of one name")

    @property
    def machine(self) -> str:
        """The machine in words, the same for every run on one of its kind."""
        board = self.before
        memory = f", {board.memory_mb / 1024:.0f} GiB" if board.memory_mb else ""
        cpu = board.cpu or "unknown processor"
        return f"{f'{board.model}, ' if board.model else ''}{board.cores} x {cpu}{memory}"


class _Header(msgspec.Struct, frozen=True):
    kind: Literal["fkp-edge bench"]
    format: int


def latency(durations_ns: Sequence[int]) -> Latency:
    """The figures of at least one duration; they stand in the order of time."""
    values = np.asarray(durations_ns, np.float64) / 1e6
    blocks = np.array_split(values, min(BLOCKS, len(values)))
    tails = np.array_split(values, min(BLOCKS, max(len(values) // TAIL_COUNT, 1)))
    p50, p90, p95, p99 = (round(float(v), 4) for v in np.percentile(values, [50, 90, 95, 99]))
    return Latency(
        count=len(values),
        p50_ms=p50,
        p90_ms=p90,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=round(float(values.max()), 4),
        blocks_ms=tuple(round(float(np.median(block)), 4) for block in blocks),
        tails_ms=tuple(round(float(np.percentile(block, 99)), 4) for block in tails),
    )


def read_result(path: Path) -> Result:
    """The measurement saved in `path`: what `--json` printed or `--report FILE.json` wrote.

    Raises:
        InputError: it cannot be read, or is none of this version.
    """
    content = read_bounded(path, MAX_BYTES, "what fkp-edge bench --json printed")
    try:
        header = msgspec.json.decode(content, type=_Header)
        if header.format != FORMAT:
            raise InputError(
                f"{path} has format {header.format}; this fkp-edge reads {FORMAT}; measure again, or use the other one"
            )
        return msgspec.json.decode(content, type=Result)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is no result of fkp-edge bench ({error}); expected what --json printed") from None
