"""What pictures claim, read without decoding them; made by OpenCV where it makes the kind."""

from __future__ import annotations

import struct

import cv2
import numpy as np
import pytest

from fkp_edge.core.picture_headers import MAX_SCANS, read_header
from fkp_edge.errors import InputError

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
KINDS = {
    ".jpg": "JPEG",
    ".png": "PNG",
    ".bmp": "BMP",
    ".webp": "WebP",
    ".pgm": "PNM",
    ".ppm": "PNM",
    ".tif": "TIFF",
}
PROGRESSIVE = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]


def coded(suffix: str, picture: np.ndarray = PICTURE, flags: list[int] | None = None) -> bytes:
    return cv2.imencode(suffix, picture, flags or [])[1].tobytes()


@pytest.mark.parametrize("suffix", KINDS)
@pytest.mark.parametrize("picture", [PICTURE, PICTURE[..., 0]], ids=["colour", "grey"])
def test_kind_and_size(suffix: str, picture: np.ndarray) -> None:
    picture = PICTURE[..., 0] if suffix == ".pgm" else PICTURE if suffix == ".ppm" else picture
    assert read_header(coded(suffix, picture))[:3] == (KINDS[suffix], 30, 20)


def test_lossless_and_extended_webp() -> None:
    assert read_header(coded(".webp", PICTURE, [cv2.IMWRITE_WEBP_QUALITY, 101]))[:3] == ("WebP", 30, 20)
    extended = b"RIFF\0\0\0\0WEBPVP8X" + struct.pack("<I4x", 10) + (29).to_bytes(3, "little") + b"\x13\0\0" + bytes(9)
    assert read_header(extended)[:3] == ("WebP", 30, 20)


def test_a_commented_pgm() -> None:
    assert read_header(b"P5\n# made by hand\n30 # wide\n20\n255\n" + bytes(600))[:3] == ("PNM", 30, 20)


def test_a_progressive_jpeg_keeps_its_coefficients_and_goes_over_them_often() -> None:
    plain, progressive = read_header(coded(".jpg")), read_header(coded(".jpg", flags=PROGRESSIVE))
    assert (plain.memory, plain.work) == (0, 600)
    assert progressive.memory == 2 * 600 * 3 // 2  # colours at half the size each way
    assert progressive.work > 4 * 600


def test_cmyk_in_full_costs_eight_bytes_a_pixel() -> None:
    frame = struct.pack(">BHHB", 8, 5000, 5000, 4) + bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0])
    scan = b"\xff\xda\0\x0e\4" + bytes(11)
    jpeg = b"\xff\xd8\xff\xc2" + struct.pack(">H", len(frame) + 2) + frame + scan + b"\xff\xd9"
    assert read_header(jpeg).memory == 8 * 5000 * 5000


def test_a_png_with_alpha_is_opened_in_full() -> None:
    grey, alpha = PICTURE[..., 0], np.dstack([PICTURE, PICTURE[..., 0]])
    assert read_header(coded(".png", alpha)).memory == 4 * 600
    assert read_header(coded(".png", grey)).memory == 2 * 30


def many_scans(count: int) -> bytes:
    """A progressive JPEG with its last scan again and again."""
    jpeg = coded(".jpg", flags=PROGRESSIVE)
    last = jpeg.rindex(b"\xff\xda")
    return jpeg[:last] + jpeg[last:-2] * count + b"\xff\xd9"


def test_scans_are_counted_and_bounded() -> None:
    assert read_header(many_scans(20)).work - read_header(many_scans(10)).work == 10 * 600
    with pytest.raises(InputError, match=f"has over {MAX_SCANS} scans"):
        read_header(many_scans(MAX_SCANS))


@pytest.mark.parametrize(
    ("start", "named"),
    [
        (b"", "it is empty"),
        (b"GIF89a", "it is a GIF: convert it to PNG"),
        (b"\0\0\0\x1cftypisom", "it is a video, whose faces"),
        (b"\0\0\0\x18ftypheic", "it is a HEIC or AVIF picture: convert it"),
        (b"\x1c\0\0\0TFL3", "it is a model file"),
        (b"hello\n", "it is a text file"),
        (b"\x7fELF\x02\x01\x01\0", "it is no picture of a known kind"),
        (b"\xff\xd8\xff\xd9", "a JPEG without a picture"),
        (b"\xff\xd8\xff\xc0\0\x08\x08", "its header is damaged"),
        (b"\x89PNG\r\n\x1a\n", "its header is damaged"),
        (b"BM", "its header is damaged"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "it is cut within its header"),
        (b"P5\n999999999999999999999999 1\n", "it claims 999999999999999999999999x1"),
        (b"P5 no", "no size after its first letters"),
        (b"II*\0\xff\xff\xff\xff", "its header is damaged"),
        (b"II*\0\x08\0\0\0\0\0", "a TIFF without a size"),
        (b"BM" + struct.pack("<12xIii", 40, -1, 8), "it claims -1x8"),
    ],
)
def test_headers_that_are_none(start: bytes, named: str) -> None:
    with pytest.raises(InputError, match=named):
        read_header(start)


@pytest.mark.parametrize("suffix", KINDS)
def test_every_cut_is_refused_or_read(suffix: str) -> None:
    whole = coded(suffix, PICTURE[..., 0] if suffix == ".pgm" else PICTURE)
    for length in range(len(whole)):
        try:
            assert read_header(whole[:length])[1:3] == (30, 20)
        except InputError:
            continue
