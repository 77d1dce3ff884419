"""Bounded reads, atomic writes, and the base of what a `with` block closes."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Self

from fkp_edge.errors import InputError

__all__ = ["Closing", "NotSyncedError", "move", "read_bounded", "write_whole"]


class NotSyncedError(InputError):
    """The files are in place; whether they last through a power cut is not known."""


def read_bounded(path: Path, limit: int, expected: str) -> bytes:
    """What `path` holds; `expected` says in errors what it should be, such as "a TOML file".

    Raises:
        InputError: it cannot be read, or holds over `limit` bytes. A device such as /dev/zero has no size to ask for.
    """
    try:
        with path.open("rb") as file:
            content = file.read(limit + 1)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}; expected {expected}") from error
    except ValueError as error:  # a NUL in the name
        raise InputError(f"cannot read {str(path)!r}: {error}; expected {expected}") from error
    if len(content) > limit:
        raise InputError(f"{path} has over {limit} bytes; expected {expected}")
    return content


def write_whole(files: Mapping[Path, bytes]) -> None:
    """Writes every file beside its place, then moves all there: nobody ever reads half a file.

    A file that was there keeps its mode and owner; a symbolic link stays, and what it names is written. Where one of
    several cannot be moved, those before it are put back; only a power cut between two moves leaves one without the
    rest.

    Raises:
        NotSyncedError: all are in place, but the disk did not say that they last.
        InputError: a folder is missing or cannot be written, or the disk is full; every file is as it was.
    """
    written: dict[Path, Path] = {}
    path = Path()
    try:
        try:
            for path, content in files.items():
                place = path.resolve() if path.is_symlink() else path
                if place.is_dir():
                    raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
                written[place] = _write_beside(place, content)
            _move_all(written)
        except OSError as error:
            raise InputError(
                f"cannot write {path}: {error.strerror or error}; name a folder that is there and has room"
            ) from error
        _sync_folders(written)
    finally:
        for partial in written.values():
            partial.unlink(missing_ok=True)


def move(path: Path, place: Path) -> None:
    """Renames `path` to `place` in the same folder, and makes that last through a power cut.

    Raises:
        NotSyncedError: it was done, but the disk did not say that it lasts.
        InputError: it cannot be done; `path` is where it was.
    """
    try:
        path.replace(place)
    except OSError as error:
        raise InputError(f"cannot move {path} to {place}: {error.strerror or error}; look at what is there") from error
    _sync_folders([place])


def _write_beside(place: Path, content: bytes) -> Path:
    """A file with `content` in the folder of `place`, with its mode and owner; safe from a power cut."""
    handle, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            _take_after(place, file.fileno())
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return Path(name)


def _take_after(place: Path, handle: int) -> None:
    """Gives an open file the mode and, where we may, the owner of the file at `place`; 0644 where there is none."""
    try:
        before = place.stat()
    except FileNotFoundError:
        os.fchmod(handle, 0o644)
        return
    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        with contextlib.suppress(PermissionError):
            os.fchown(handle, before.st_uid, before.st_gid)
    os.fchmod(handle, stat.S_IMODE(before.st_mode))


def _move_all(written: Mapping[Path, Path]) -> None:
    """Moves every file to its place, or none."""
    before: dict[Path, Path | None] = {}
    try:
        for place, partial in written.items():
            # the last one needs no way back
            before[place] = _second_name(place) if len(before) + 1 < len(written) else None
            partial.replace(place)
    except OSError:
        moved = [place for place, partial in written.items() if place in before and not partial.exists()]
        for place in moved:
            kept = before[place]
            if kept is None:
                place.unlink(missing_ok=True)
            else:
                kept.replace(place)
        raise
    finally:
        for kept in before.values():
            if kept:
                kept.unlink(missing_ok=True)


def _second_name(place: Path) -> Path | None:
    """Another name for the file at `place`, or a copy where the file system has no links; None where there is none."""
    if not place.exists():
        return None
    other = Path(tempfile.mktemp(prefix=f".{place.name}.", dir=place.parent))  # noqa: S306 - link fails where it exists
    try:
        other.hardlink_to(place)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
            raise
        return _write_beside(place, place.read_bytes())
    return other


def _sync_folders(places: Iterable[Path]) -> None:
    places = list(places)
    try:
        for folder in {place.parent for place in places}:
            _sync_folder(folder)
    except OSError as error:
        named = " and ".join(str(place) for place in places)
        raise NotSyncedError(
            f"{named} is written, but may not last through a power cut: {error.strerror or error}; look at the disk"
        ) from error


def _sync_folder(folder: Path) -> None:
    """Makes renames last through a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems cannot
            raise
    finally:
        os.close(handle)


class Closing:
    """Closed when its `with` block ends."""

    def close(self) -> None:
        """Twice is fine."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
