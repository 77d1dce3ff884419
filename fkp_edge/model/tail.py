"""The zip behind a flatbuffer, read in exactly the formats that are written there, each length bounded first."""

from __future__ import annotations

import io
import math
import re
import struct
import zipfile
import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_MEMBERS", "NoTailError", "TailError", "open_tail", "read_arrays", "read_member"]

MAX_MEMBERS = 1000
MAX_DIMENSION = 4096
"""Of an array; frames are a few hundred pixels."""
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
PIECE = 2**16
NPY = re.compile(
    rb"\x93NUMPY\x01\x00(..)\{'descr': '([|<][uif][1248])', 'fortran_order': False, "
    rb"'shape': \(([0-9, ]{0,40})\), \} *\n",
    re.DOTALL,
)


class TailError(ValueError):
    """The tail is not what we write; the text says what was found and what was expected."""


class NoTailError(TailError):
    """There is no zip at the end."""


def open_tail(content: bytes) -> tuple[zipfile.ZipFile, int]:
    """The zip at the end of `content` and where it begins.

    Raises:
        NoTailError: there is none.
        TailError: it has members that we do not write.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        members = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError, IndexError, OverflowError, struct.error) as error:
        raise NoTailError(f"no zip can be read behind its flatbuffer ({error})") from error
    if len(members) > MAX_MEMBERS:
        raise TailError(f"its zip has {len(members)} members; expected at most {MAX_MEMBERS}")
    return archive, min((info.header_offset for info in members), default=0)


def read_member(archive: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """What the member `name` unpacks to.

    Raises:
        KeyError: there is none of that name.
        TailError: it is damaged, packed in a way that we do not write, or unpacks to over `limit` bytes.
    """
    info = archive.getinfo(name)
    if info.compress_type not in METHODS or info.flag_bits & 1:
        raise TailError(
            f"{name} is packed by method {info.compress_type}; expected stored or deflated, without a password"
        )
    if info.file_size > limit:
        raise TailError(f"{name} unpacks to {info.file_size} bytes, expected at most {limit}")
    pieces, left = [], limit
    try:
        with archive.open(info) as file:
            while piece := file.read(PIECE):
                left -= len(piece)
                if left < 0:
                    raise TailError(f"{name} unpacks to over {limit} bytes")
                pieces.append(piece)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, struct.error, ValueError) as error:
        if isinstance(error, TailError):
            raise
        raise TailError(f"{name} cannot be unpacked ({error})") from error
    return b"".join(pieces)


def read_arrays(content: bytes, limit: int) -> dict[str, NDArray[Any]]:
    """The arrays of a .npz by name; together at most `limit` bytes.

    Raises:
        TailError: it is no zip, or a member is no .npy file of plain numbers.
    """
    archive, _ = open_tail(content)
    arrays, left = {}, limit
    for info in archive.infolist():
        npy = read_member(archive, info.filename, left)
        left -= len(npy)
        arrays[info.filename.removesuffix(".npy")] = _read_array(info.filename, npy)
    return arrays


def _read_array(name: str, npy: bytes) -> NDArray[Any]:
    header = NPY.match(npy[:4096])
    if header is None or header.end() != 10 + int.from_bytes(header[1], "little"):
        raise TailError(f"{name[:40]} is no .npy file of plain numbers, version 1.0")
    kind = np.dtype(header[2].decode())
    shape = tuple(int(side) for side in header[3].decode().replace(" ", "").split(",") if side)
    if len(shape) > 3 or any(side > MAX_DIMENSION for side in shape):
        raise TailError(f"{name[:40]} has the shape {shape}; expected sides of at most {MAX_DIMENSION}")
    size = math.prod(shape) * kind.itemsize
    if len(npy) - header.end() != size:
        raise TailError(f"{name[:40]} holds {len(npy) - header.end()} bytes; its shape {shape} takes {size}")
    return np.frombuffer(npy, kind, offset=header.end()).reshape(shape).copy()
