"""What a labelling run has done, beside its labels: so that it goes on where it was stopped, and mixes nothing."""

from __future__ import annotations

from pathlib import Path

import msgspec

from fkp_edge.core.files import read_bounded, write_whole
from fkp_edge.errors import InputError

__all__ = ["FOLDER", "Done", "Face", "Journal", "Settings", "check_place"]

FOLDER = "about"
"""Folder in the labels' folder, so that these files are not taken for pictures."""
MAX_BYTES = 512 * 2**20


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How labels are made: the same for all labels of a folder."""

    version: int = 1
    source: str
    """Path of the pictures or the video."""
    teacher: str
    schema: str
    sure: float
    every_s: float


class Face(msgspec.Struct, frozen=True):
    """A face that was marked."""

    name: str
    """Of its files, without suffix; empty where the teacher was not sure and none were written."""
    disagreement: float


class Done(msgspec.Struct, frozen=True):
    """A picture or frame that was looked at."""

    item: str
    """File name of the picture, or number of the frame."""
    faces: tuple[Face, ...]


class Journal:
    """The settings and the pictures done of one folder of labels."""

    def __init__(self, out: Path, settings: Settings) -> None:
        """Opens the journal of `out`, or begins one.

        Raises:
            InputError: `out` holds something else, or labels that were made otherwise.
        """
        self._settings, self._lines = out / FOLDER / "label.json", out / FOLDER / "faces.jsonl"
        if not self._settings.is_file():
            check_place(out)
            _make_folder(out / FOLDER)
            write_whole({self._settings: msgspec.json.format(msgspec.json.encode(settings), indent=1)})
        elif (before := _decode(self._settings, Settings)) != settings:
            raise InputError(f"{out} holds labels made otherwise ({_difference(before, settings)}); name another --out")
        self.folder = out / FOLDER
        self.done: dict[str, Done] = {}
        """By item."""
        self._read()

    def _read(self) -> None:
        """Takes over what is done; a line that was cut short, by a full disk or a kill, is forgotten."""
        if not self._lines.exists():
            return
        content = read_bounded(self._lines, MAX_BYTES, "the list of labelled faces")
        lines = content.split(b"\n")
        for number, line in enumerate(lines[:-1], 1):
            try:
                done = msgspec.json.decode(line, type=Done)
            except msgspec.MsgspecError as error:
                raise InputError(f"{self._lines} line {number}: {error}; name another --out") from None
            self.done[done.item] = done
        if lines[-1]:
            write_whole({self._lines: content[: -len(lines[-1])]})

    def add(self, done: Done) -> None:
        """Notes that a picture is done; its files are written already.

        Raises:
            InputError: the disk is full.
        """
        try:
            with self._lines.open("ab") as file:
                file.write(msgspec.json.encode(done) + b"\n")
        except OSError as error:
            raise InputError(
                f"cannot write {self._lines}: {error.strerror or error}; make room: the same command goes on"
            ) from error
        self.done[done.item] = done


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make folder {path}: {error.strerror or error}; name another --out") from error


def check_place(out: Path) -> None:
    """Refuses a folder that holds something else than labels; makes nothing.

    Raises:
        InputError: it does, or is no folder.
    """
    if not out.exists() or (out / FOLDER / "label.json").is_file():
        return
    try:
        taken = next((path for path in sorted(out.iterdir()) if path.name != FOLDER), None)
    except OSError as error:
        raise InputError(f"cannot label into {out}: {error.strerror or error}; name another --out") from error
    if taken:
        raise InputError(f"{out} already holds {taken.name}, and no labels of this command; name a folder of its own")


def _decode(path: Path, kind: type[Settings]) -> Settings:
    try:
        return msgspec.json.decode(read_bounded(path, 2**16, "settings of a labelling"), type=kind)
    except msgspec.MsgspecError as error:
        raise InputError(f"{path}: {error}; name another --out") from None


def _difference(before: Settings, now: Settings) -> str:
    names = [name for name in Settings.__struct_fields__ if getattr(before, name) != getattr(now, name)]
    return "; ".join(f"{name} {getattr(before, name)}, now {getattr(now, name)}" for name in names)
