"""The file that a service runs: a new one takes its place only if it is good, and the one before is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fkp_edge.edgetpu import Accelerator
from fkp_edge.errors import InputError, ModelFileError
from fkp_edge.files import write_whole
from fkp_edge.interpreter import open_model
from fkp_edge.verify import Verification, verify

__all__ = ["Placement", "install_model", "previous_of", "roll_back"]


@dataclass(frozen=True)
class Placement:
    """What became of a file that was to take a place."""

    sha256: str
    """Of its flatbuffer."""
    verification: Verification
    """Its golden cases on this device; where they do not reproduce, nothing was changed."""
    is_new: bool
    """False where the place holds it already, or still holds another."""


def previous_of(place: Path) -> Path:
    """Where the file is kept that was at `place` before."""
    return place.with_name(f"{place.name}.previous")


def install_model(file: Path, place: Path, *, accelerator: Accelerator = "cpu") -> Placement:
    """Puts a copy of `file` at `place` if it is whole and reproduces its golden cases on this device.

    What was there is kept as `previous_of(place)`. A power cut leaves the old file or the new one, never a part of one.

    Raises:
        FkpEdgeError: the file is damaged, made for the other accelerator or has no golden cases, or `place` cannot be
            written; nothing was changed.
    """
    return _put(file, place, accelerator)


def roll_back(place: Path, *, accelerator: Accelerator = "cpu") -> Placement:
    """Exchanges the file at `place` and the one before it; twice is back.

    Raises:
        InputError: there is no file before it.
        FkpEdgeError: see `install_model`.
    """
    previous = previous_of(place)
    if not previous.is_file():
        raise InputError(f"{previous} does not exist; expected the file that an earlier install replaced")
    return _put(previous, place, accelerator)


def _put(file: Path, place: Path, accelerator: Accelerator) -> Placement:
    if place.suffix != ".tflite":
        raise InputError(f"{place} does not end in .tflite; name the file that the configuration's model key names")
    model = open_model(file, accelerator=accelerator)
    content = file.read_bytes()
    if not content.startswith(model.file.flatbuffer):
        raise ModelFileError(f"{file} changed while it was read; copy it here first, then install it")
    found = verify(model)
    kept = place.read_bytes() if place.exists() else None
    is_new = found.first is None and kept != content
    if is_new:
        write_whole(({} if kept is None else {previous_of(place): kept}) | {place: content})
    return Placement(model.file.sha256, found, is_new)
