"""The first run of a model file from elsewhere, in a child under limits, so that a crash is an error in one line."""

from __future__ import annotations

import hashlib
import os
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

import msgspec
import numpy as np

from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.subprocesses import Worker, WorkerError, confine, limit_next
from fkp_edge.errors import FkpEdgeError, ModelFileError
from fkp_edge.model.file import ModelFile, encode_model_file, parse_model_file
from fkp_edge.model.finder_maps import INPUT_SIZE
from fkp_edge.model.runtimes import TfliteRuntime
from fkp_edge.model.shipped import shipped_model

__all__ = ["ANSWER", "MAX_ANSWER", "MODULE", "QUESTION", "main", "rehearse", "try_out"]

MODULE = "fkp_edge.model.rehearsal"

QUESTION = struct.Struct("<QIQd")
"""Bytes of the model file that follow, threads, bytes of memory, CPU seconds."""
ANSWER = struct.Struct("<I")
"""Bytes of the complaint that follows; 0 where there is none."""
MAX_ANSWER = 4096
MEMORY = 384 * 2**20
"""Beside a few copies of its weights: tensors, the runtime's own; networks of this kind take 20 MB."""
THREAD_MEMORY = 80 * 2**20
"""Addresses, not memory, that a thread reserves."""
CPU_S = 30.0
TIMEOUT_S = 120.0
NAMELESS = Path()
"""Errors of the child begin with the path, which the parent knows."""


def rehearse(file: ModelFile, runtime: TfliteRuntime, *, threads: int = 1) -> None:
    """Loads `file`, invokes it and replays its golden cases in a child, unless it ships with us or was once rehearsed.

    Args:
        file: a model file for the CPU.
        runtime: what will run it here.
        threads: as it will run here.

    Raises:
        ModelFileError: it crashes the runtime, takes too much memory or time, or fails there.
    """
    if file.path.resolve().parent == shipped_model().resolve().parent:
        return
    content = file.flatbuffer
    if file.card:
        content = encode_model_file(file.flatbuffer, file.card, file.golden, file.finder_golden)
    mark = _mark(content, f"{runtime} {threads}")
    if mark and mark.exists():
        return
    with Worker(MODULE) as worker:
        try:
            text = try_out(worker, content, threads=threads)
        except WorkerError as error:
            what = "crashes the TFLite runtime" if error.crashed else "cannot be tried out"
            raise ModelFileError(f"{file.path} {what} (it {error}): refused; convert the model again") from error
        except OSError as error:
            raise ModelFileError(f"{file.path} cannot be tried out: {error.strerror or error}") from error
    if text:
        raise ModelFileError(f"{file.path}{text}")
    if mark:
        _leave(mark)


def try_out(worker: Worker, content: bytes, *, threads: int = 1) -> str:
    """What `worker`, which runs `MODULE`, says against the model file `content`; empty where it runs.

    Raises:
        WorkerError: the worker crashed, or took too long.
        OSError: it cannot be started.
    """
    memory = MEMORY + 4 * len(content) + threads * THREAD_MEMORY
    head = bytearray(ANSWER.size)
    worker.ask([QUESTION.pack(len(content), threads, memory, CPU_S), content], timeout_s=TIMEOUT_S)
    deadline = time.monotonic() + TIMEOUT_S
    worker.answer(memoryview(head), deadline)
    text = bytearray(min(MAX_ANSWER, *ANSWER.unpack(head)))
    worker.answer(memoryview(text), deadline)
    return text.decode(errors="replace")


def _mark(content: bytes, how: str) -> Path | None:
    """The file that says that this content was rehearsed; None where the user has no folder for such."""
    home = os.environ.get("HOME")
    # STATE_DIRECTORY is what systemd gives the service, which sees no home
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("STATE_DIRECTORY") or (home and f"{home}/.cache")
    if not base or not Path(base).is_absolute():
        return None
    name = hashlib.sha256(msgspec.json.encode([hashlib.sha256(content).hexdigest(), how])).hexdigest()
    return Path(base, "fkp-edge", "rehearsed", name)


def _leave(mark: Path) -> None:
    try:
        mark.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        mark.touch(mode=0o600)
    except OSError:  # then it is rehearsed each time
        return


def main(parent: int) -> None:
    """In the child: answers until stdin ends."""
    from fkp_edge.model import finder, verify  # noqa: F401 - they import this module; here, before the limits

    confine(parent)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # the runtime prints
    while len(head := sys.stdin.buffer.read(QUESTION.size)) == QUESTION.size:
        length, threads, memory, cpu_s = QUESTION.unpack(head)
        content = sys.stdin.buffer.read(length)
        limit_next(memory, cpu_s)
        text = _try(content, threads).encode()[:MAX_ANSWER]
        answers.write(ANSWER.pack(len(text)) + text)
        answers.flush()


def _try(content: bytes, threads: int) -> str:
    """What is wrong with the file, to be read after its name; empty where nothing is."""
    try:
        file = parse_model_file(NAMELESS, content, card_required=False)
        if file.card and file.card.kind == "finder":
            _try_finder(file, threads)
        else:
            _try_keypoints(file, threads)
    except FkpEdgeError as error:
        text = str(error).removeprefix(str(NAMELESS))
        return text if text.startswith((" ", ":")) else f": {text}"
    except MemoryError:
        return " takes too much memory; convert the model again"
    except Exception as error:  # whatever it is, the parent says it in one line
        return f" cannot be run: {' '.join(f'{type(error).__name__}: {error}'.split())[:300]}; convert the model again"
    return ""


def _try_keypoints(file: ModelFile, threads: int) -> None:
    from fkp_edge.model.interpreter import KeypointModel
    from fkp_edge.model.verify import verify

    model = KeypointModel(file, threads=threads)
    model.invoke(np.zeros((CROP_SIZE, CROP_SIZE), np.uint8))
    if file.golden:
        with suppress(ModelFileError):  # cases that do not fit are for who verifies to tell
            verify(model)


def _try_finder(file: ModelFile, threads: int) -> None:
    from fkp_edge.model.finder import FinderModel

    model, (width, height) = FinderModel(file, threads=threads), INPUT_SIZE
    for pixels in (np.zeros((height, width), np.uint8), *(case.pixels for case in file.finder_golden)):
        if pixels.shape == (height, width):
            model.decode(model.invoke(pixels.astype(np.uint8)), most=5)
