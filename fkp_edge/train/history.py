"""A run's record on disk: a line an epoch and the checkpoints, which agree wherever the run was killed."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

from fkp_edge.core.files import write_whole
from fkp_edge.errors import InputError
from fkp_edge.train.backend import tf

__all__ = ["append_line", "keep_epochs", "restore_newest", "whole_lines"]

log = logging.getLogger(__name__)


def append_line(path: Path, line: bytes) -> None:
    """Adds `line` to the file, on the disk when this returns.

    Written before the epoch's checkpoint: a kill in between leaves a line too many, which `keep_epochs` takes away, and
    never one too few.
    """
    with path.open("ab") as file:
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def whole_lines(path: Path) -> list[bytes]:
    """The lines that were written to their end; none where the file is missing."""
    return path.read_bytes().split(b"\n")[:-1] if path.exists() else []


def keep_epochs(path: Path, epoch: int) -> None:
    """Leaves the lines of the epochs up to `epoch`, which is where the checkpoint stands.

    Raises:
        InputError: a line is damaged, and was not merely cut short.
    """
    try:
        kept = [line for line in whole_lines(path) if json.loads(line)["epoch"] <= epoch]
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(f"{path} is damaged ({error}); name another --out") from error
    if path.exists():
        write_whole({path: b"".join(line + b"\n" for line in kept)})


def restore_newest(checkpoints: Any) -> bool:
    """Restores the newest checkpoint of a `tf.train.CheckpointManager` that can be read; False where there is none.

    Raises:
        InputError: there are some, and none can be read.
    """
    names = list(reversed(checkpoints.checkpoints))
    for name in names:
        try:
            checkpoints.checkpoint.restore(name).expect_partial()
        except (tf.errors.OpError, ValueError) as error:
            log.warning("%s cannot be read (%s)", name, str(error).splitlines()[0])
            continue
        return True
    if names:
        raise InputError(f"no checkpoint in {Path(names[0]).parent} can be read; name another --out")
    return False
