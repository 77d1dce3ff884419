"""Files read and written so that nothing is half of it: never more than is expected, never half a file."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from fkp_edge.errors import InputError

__all__ = ["move", "read_bounded", "write_whole"]


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
    if len(content) > limit:
        raise InputError(f"{path} has over {limit} bytes; expected {expected}")
    return content


def write_whole(files: Mapping[Path, bytes]) -> None:
    """Writes every file beside its place, then moves all there: nobody ever reads half a file, or one without the rest.

    Raises:
        InputError: a folder is missing or cannot be written, or the disk is full; no file was changed then.
    """
    written: dict[Path, Path] = {}
    path = Path()
    try:
        for path, content in files.items():
            if path.is_dir():
                raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
            written[path] = Path(name)
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            written[path].chmod(0o644)
        for path, partial in written.items():
            partial.replace(path)
        for folder in {path.parent for path in files}:
            _sync_folder(folder)
    except OSError as error:
        raise InputError(
            f"cannot write {path}: {error.strerror or error}; name a folder that is there and has room"
        ) from error
    finally:
        for partial in written.values():
            partial.unlink(missing_ok=True)


def move(path: Path, place: Path) -> None:
    """Renames `path` to `place` in the same folder, and makes that last through a power cut.

    Raises:
        InputError: it cannot be done; `path` is where it was.
    """
    try:
        path.replace(place)
        _sync_folder(place.parent)
    except OSError as error:
        raise InputError(f"cannot move {path} to {place}: {error.strerror or error}; look at what is there") from error


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
