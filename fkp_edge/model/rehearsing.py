"""The process that `rehearse` starts: loads a model file, invokes it, replays its golden cases."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np

from fkp_edge.core.confined import confine, limit_next
from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.errors import FkpEdgeError, ModelFileError
from fkp_edge.model.file import ModelFile, parse_model_file
from fkp_edge.model.finder import FinderModel
from fkp_edge.model.finder_maps import INPUT_SIZE
from fkp_edge.model.interpreter import KeypointModel
from fkp_edge.model.rehearsal import ANSWER, MAX_ANSWER, QUESTION
from fkp_edge.model.verify import verify

__all__ = ["main"]

NAMELESS = Path()
"""Errors begin with the path, which the parent knows."""


def main(parent: int) -> None:
    """Answers until stdin ends."""
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
    model = KeypointModel(file, threads=threads)
    model.invoke(np.zeros((CROP_SIZE, CROP_SIZE), np.uint8))
    if file.golden:
        with suppress(ModelFileError):  # cases that do not fit are for who verifies to tell
            verify(model)


def _try_finder(file: ModelFile, threads: int) -> None:
    model, (width, height) = FinderModel(file, threads=threads), INPUT_SIZE
    for pixels in (np.zeros((height, width), np.uint8), *(case.pixels for case in file.finder_golden)):
        if pixels.shape == (height, width):
            model.decode(model.invoke(pixels.astype(np.uint8)), most=5)
