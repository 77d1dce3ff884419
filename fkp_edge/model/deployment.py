"""Which model files there are: those that ship, and the one that a service runs, changed and changed back."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from fkp_edge.core.files import NotSyncedError, move, read_bounded, write_whole
from fkp_edge.core.keypoints import schema_named
from fkp_edge.errors import InputError, ModelFileError
from fkp_edge.model.edgetpu import Accelerator
from fkp_edge.model.file import MAX_FILE_BYTES, Card, ModelFile, read_model_file
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model, shipped_names
from fkp_edge.model.verify import Verification, verify

__all__ = ["Placement", "ShippedModel", "install_model", "list_models", "previous_of", "roll_back"]

INSTRUCTIONS = Path(__file__).parent / "shipped/instructions.json"
"""Flatbuffer's sha256 -> instructions of an inference on each core; `make bench-arm64 ARGS=--update` writes it."""


class ShippedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One model that ships with the package."""

    name: str
    """For `--model`."""
    is_default: bool
    points: int
    """A face."""
    precision: str
    """float32 or int8."""
    file_bytes: int
    nme_percent: float
    """Mean error of the points over the distance of the outer eye corners, on validation faces."""
    instructions: dict[str, int]
    """Of an inference: core (pi4, pi5) -> instructions; empty where they were not counted."""


def list_models() -> list[ShippedModel]:
    """The shipped keypoint networks, the default one first."""
    counted = msgspec.json.decode(INSTRUCTIONS.read_bytes(), type=dict[str, dict[str, int]])
    found = []
    for index, name in enumerate(shipped_names()):
        file = read_model_file(shipped_model(name))
        card = file.card
        assert card is not None, "shipped files have cards"
        found.append(
            ShippedModel(
                name=name,
                is_default=index == 0,
                points=schema_named(card.schema).size,
                precision=card.precision,
                file_bytes=file.path.stat().st_size,
                nme_percent=_mean_nme(card),
                instructions=counted.get(file.sha256, {}),
            )
        )
    return found


def _mean_nme(card: Card) -> float:
    """Over the faces of all validation sets."""
    sets = list(card.accuracy.values())
    return float(np.average([each["nme_percent"] for each in sets], weights=[each["faces"] for each in sets]))


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
    """Where the file is kept that was at `place` before: beside what `place` names, where it is a symbolic link."""
    place = _followed(place)
    return place.with_name(f"{place.name}.previous")


def replaced_at(place: Path) -> Path:
    """Where the file that was at `place` is while it changes: with the one before it, all are there at every moment."""
    place = _followed(place)
    return place.with_name(f"{place.name}.replaced")


def _followed(place: Path) -> Path:
    return place.resolve() if place.is_symlink() else place


def install_model(file: Path, place: Path, *, accelerator: Accelerator = "cpu") -> Placement:
    """Puts a copy of `file` at `place` if it is whole and reproduces its golden cases on this device.

    What was there is kept as `previous_of(place)`. A power cut leaves the old file or the new one, never a part of one;
    the next change ends what it broke off.

    Raises:
        FkpEdgeError: the file is damaged, made for the other accelerator or has no golden cases, or `place` cannot be
            written; nothing was changed, or the error says what was.
    """
    return _put(file, place, accelerator)


def roll_back(
    place: Path, *, accelerator: Accelerator = "cpu", tell: Callable[[Path, ModelFile], None] | None = None
) -> Placement:
    """Exchanges the file at `place` and the one before it; twice is back. `tell` is told which that is, beforehand.

    Raises:
        InputError: there is no file before it.
        FkpEdgeError: see `install_model`.
    """
    _finish(place)
    previous = previous_of(place)
    if not previous.is_file():
        raise InputError(f"{previous} does not exist; expected the file that an earlier install replaced")
    if tell:
        tell(previous, read_model_file(previous, card_required=False))
    return _put(previous, place, accelerator)


def _put(file: Path, place: Path, accelerator: Accelerator) -> Placement:
    if place.is_dir():
        raise InputError(f"{place} is a folder; name the file in it that the configuration's model key names")
    if place.suffix != ".tflite":
        raise InputError(f"{place} does not end in .tflite; name the file that the configuration's model key names")
    _finish(place)
    _remove_orphans(_followed(place))
    if read_model_file(file, card_required=False).card is None:
        raise ModelFileError(f"{file} has no card, or is cut off; expected a whole file that fkp-edge convert wrote")
    model = open_model(file, accelerator=accelerator)
    content = file.read_bytes()
    if not content.startswith(model.file.flatbuffer):
        raise ModelFileError(f"{file} changed while it was read; copy it here first, then install it")
    found = verify(model)
    kept = read_bounded(place, MAX_FILE_BYTES, "a model file") if place.exists() else None
    is_new = found.first is None and kept != content
    if is_new:
        _change(file, place, content, kept)
    return Placement(model.file.sha256, found, is_new)


def _change(file: Path, place: Path, content: bytes, kept: bytes | None) -> None:
    """Writes `content`; what an error says is what is on the disk."""
    replaced, unsure = replaced_at(place), None
    try:
        if kept is not None:
            write_whole({replaced: kept})
    except NotSyncedError as error:
        replaced.unlink(missing_ok=True)
        raise InputError(f"cannot write beside {place}: {error}; nothing was changed") from error
    try:
        write_whole({place: content})
    except NotSyncedError as error:
        unsure = error
    except InputError:
        replaced.unlink(missing_ok=True)
        raise
    try:
        _finish(place)
    except NotSyncedError as error:
        unsure = error
    except InputError as error:
        raise InputError(
            f"{file} is at {place} now, but the one before it is still called {replaced}: {error}"
        ) from error
    if unsure:
        raise InputError(f"{file} is at {place} now, but: {unsure}") from unsure


def _remove_orphans(place: Path) -> None:
    """Removes what a write that was killed left beside `place`."""
    name = re.compile(rf"\.{re.escape(place.name)}(\.replaced|\.previous)?\.[a-z0-9_]{{8}}")
    with suppress(OSError):
        for path in place.parent.iterdir():
            if name.fullmatch(path.name) and path.is_file() and not path.is_symlink():
                path.unlink()


def _finish(place: Path) -> None:
    """Makes what a change replaced the file before; also after a power cut in its middle."""
    replaced = replaced_at(place)
    if not replaced.exists():
        return
    if place.exists() and place.read_bytes() == replaced.read_bytes():  # cut before the new file came
        replaced.unlink()
    else:
        move(replaced, previous_of(place))
