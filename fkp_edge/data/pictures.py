"""Reads picture files and finds them in folders, with errors that name the file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import overload

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.files import read_bounded
from fkp_edge.core.keypoints import FKP15, Points
from fkp_edge.core.picture_headers import read_header
from fkp_edge.data.decoder import FILES, Decoded, Decoder, check_claim
from fkp_edge.errors import InputError

__all__ = [
    "PICTURE_SUFFIXES",
    "VIDEOS",
    "Pictures",
    "decode_bytes",
    "decode_picture",
    "find_pictures",
    "kind_of",
    "portrait",
    "portrait_points",
    "read_picture",
]

HEAD_BYTES = 512
BY_SUFFIX = {
    ".pts": "the points of one picture",
    ".keras": "a network before its conversion",
    ".h5": "a network before its conversion",
    ".toml": "a recipe or configuration",
    ".jsonl": "a recording of points",
    ".gz": "a compressed file",
}
VIDEOS = frozenset({".mp4", ".avi", ".mkv", ".mov", ".webm", ".m4v", ".mpg", ".mpeg", ".ts"})
PLAYLIST = b"#EXTM3U"
_CONTROLS = bytes(set(range(32)) - set(b"\t\n\r\f\x1b"))


def kind_of(path: Path) -> str:
    """What the file at `path` is, such as "a model file" or "a text file"; reads its first bytes, follows its name."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        return f"not to be read ({error.strerror or error})"
    if not head:
        return "an empty file"
    if head[4:8] == b"TFL3":
        return "a model file"
    suffix = path.suffix.lower()
    if suffix in BY_SUFFIX:
        return BY_SUFFIX[suffix]
    if head.translate(None, _CONTROLS) == head and not head.startswith(PLAYLIST):
        return "a text file"
    if suffix in PICTURE_SUFFIXES:
        return "a picture"
    return "a video" if suffix in VIDEOS else "a file of an unknown kind"


PICTURE_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".pgm", ".ppm", ".tif", ".tiff"}
MAX_BYTES = 64 * 2**20


def read_picture(path: Path, *, color: bool = False) -> NDArray[np.uint8]:
    """The picture in `path`: (H, W) grey, or (H, W, 3) BGR where `color`; for pictures that a user keeps.

    What it claims is checked first. What comes from elsewhere goes through a `Decoder`.

    Raises:
        InputError: the file is missing, too large, or no picture.
    """
    return decode_bytes(read_coded(path), str(path), color=color)


def decode_bytes(coded: bytes, name: str, *, color: bool = False) -> NDArray[np.uint8]:
    """The picture in the bytes of a file, as `read_picture` gives it; `name` is what errors call it.

    Raises:
        InputError: it is no picture, or claims too much.
    """
    try:
        check_claim(read_header(coded), FILES, reduces=False)
        picture = cv2.imdecode(np.frombuffer(coded, np.uint8), cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE)
        if picture is None or picture.dtype != np.uint8:
            raise InputError("it is damaged; expected a whole one")
    except cv2.error as error:
        raise InputError(f"{name} is not a picture that OpenCV reads: it is damaged; expected a whole one") from error
    except InputError as error:
        raise InputError(f"{name} is not a picture that OpenCV reads: {error}") from error
    return picture  # type: ignore[return-value]


def decode_picture(path: Path, decoder: Decoder, *, color: bool = False, reduces: bool = True) -> Decoded:
    """The picture in `path`, opened by `decoder`; a large JPEG at a reduced size where `reduces`.

    Raises:
        InputError: the file is missing, too large, or no picture.
    """
    coded = read_coded(path)
    try:
        return decoder.decode(coded, color=color, reduces=reduces)
    except InputError as error:
        raise InputError(f"{path} is not a picture that OpenCV reads: {error}") from error


def read_coded(path: Path) -> bytes:
    """The bytes of a picture file.

    Raises:
        InputError: it is missing, or has too many.
    """
    return read_bounded(path, MAX_BYTES, "a picture file")


def find_pictures(path: Path) -> list[Path]:
    """`path` itself if it is a file, else the pictures in that folder (not below it), by name.

    Raises:
        InputError: nothing is there, or the folder holds no picture.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise InputError(f"{path} does not exist; expected a picture, a video or a folder of pictures")
    found = sorted(p for p in path.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
    if not found:
        raise InputError(f"no pictures in {path}; expected files ending in {', '.join(sorted(PICTURE_SUFFIXES))}")
    return found


class Pictures(Sequence[NDArray[np.uint8]]):
    """Grey pictures by path, each read when asked for."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self._paths = list(paths)

    def __len__(self) -> int:
        return len(self._paths)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.uint8]: ...
    @overload
    def __getitem__(self, index: slice) -> Pictures: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.uint8] | Pictures:
        if isinstance(index, slice):
            return Pictures(self._paths[index])
        return read_picture(self._paths[index])


_FOLDER = resources.files("fkp_edge.data")


def portrait() -> NDArray[np.uint8]:
    """The portrait, (512, 512, 3) BGR."""
    coded = np.frombuffer((_FOLDER / "eileen_collins.jpg").read_bytes(), np.uint8)
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)  # type: ignore[return-value]


def portrait_points() -> Points:
    """Its 15 points (FKP15) as a person marked them: (15, 2) pixels."""
    marked = json.loads((_FOLDER / "eileen_collins.json").read_text())["points"]
    return np.array([marked[name] for name in FKP15.names], np.float32)
