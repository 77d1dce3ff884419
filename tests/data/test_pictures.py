from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.data.pictures import MAX_BYTES, Pictures, find_pictures, read_picture
from fkp_edge.errors import InputError


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path, picture: np.ndarray) -> Path:
    """Three pictures and a text file."""
    for name in ("b.png", "a.JPG", "c.bmp"):
        cv2.imwrite(str(tmp_path / name), picture)
    (tmp_path / "notes.txt").write_text("notes")
    return tmp_path


def small_file_of_a_huge_picture() -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def test_reads_grey(folder: Path, picture: np.ndarray):
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    np.testing.assert_allclose(read_picture(folder / "b.png"), grey, atol=1)  # libpng rounds its own way


def test_reads_color(folder: Path, picture: np.ndarray):
    np.testing.assert_array_equal(read_picture(folder / "b.png", color=True), picture)


def test_reads_names_that_are_not_ascii(tmp_path: Path, folder: Path, picture: np.ndarray):
    (folder / "b.png").rename(folder / "Ünï çødé.png")
    assert read_picture(folder / "Ünï çødé.png").shape == (20, 30)


def test_a_missing_file(tmp_path: Path):
    path = tmp_path / "none.jpg"
    with pytest.raises(InputError) as caught:
        read_picture(path)
    assert str(caught.value) == f"cannot read {path}: No such file or directory; expected a picture file"


@pytest.mark.parametrize(
    "content",
    [b"", b"just text", b"\xff\xd8\xff", small_file_of_a_huge_picture()],
    ids=["empty", "text", "cut", "huge"],
)
def test_what_is_no_picture(tmp_path: Path, content: bytes):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        read_picture(path)
    assert str(caught.value).startswith(f"{path} is not a picture that OpenCV reads: it ")


def test_a_file_that_is_too_large(tmp_path: Path):
    path = tmp_path / "a.jpg"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # sparse: takes no disk
    with pytest.raises(InputError, match=f"has over {MAX_BYTES} bytes; expected a picture file"):
        read_picture(path)


def test_find_pictures_lists_a_folders_pictures_by_name(folder: Path):
    assert [path.name for path in find_pictures(folder)] == ["a.JPG", "b.png", "c.bmp"]


def test_find_pictures_gives_a_file_back_whatever_its_name(folder: Path):
    assert find_pictures(folder / "notes.txt") == [folder / "notes.txt"]


def test_find_pictures_in_a_missing_path(tmp_path: Path):
    path = tmp_path / "none"
    with pytest.raises(InputError) as caught:
        find_pictures(path)
    assert str(caught.value) == f"{path} does not exist; expected a picture, a video or a folder of pictures"


def test_find_pictures_in_a_folder_without_any(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("notes")
    with pytest.raises(InputError, match=r"no pictures in .*; expected files ending in \.bmp, \.jpeg, \.jpg, "):
        find_pictures(tmp_path)


def test_pictures_are_read_in_order_when_asked_for(folder: Path):
    pictures = Pictures([folder / "b.png", folder / "none.png"])
    assert len(pictures) == 2
    assert pictures[0].shape == (20, 30)
    with pytest.raises(InputError, match=r"cannot read .*none\.png"):
        pictures[1]


def test_a_slice_of_pictures_reads_nothing_yet(folder: Path):
    part = Pictures([folder / "b.png", folder / "none.png"])[1:]
    assert (type(part), len(part)) == (Pictures, 1)
