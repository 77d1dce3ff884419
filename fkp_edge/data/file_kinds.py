"""What a file is, in words: for errors that say so instead of what it is not."""

from __future__ import annotations

from pathlib import Path

from fkp_edge.data.pictures import PICTURE_SUFFIXES

__all__ = ["VIDEOS", "kind_of"]

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
