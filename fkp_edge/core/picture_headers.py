"""Picture headers: kind, size and what decoding will cost, read from a file's own claims before anything is decoded."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from typing import NamedTuple

from fkp_edge.errors import InputError

__all__ = ["Claim", "read_header"]

MAX_SCANS = 64
"""Of a progressive JPEG; encoders write about ten. Each goes over the whole picture, however few bytes it has."""
MAX_SIDE = 65_500
STARTS_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
PROGRESSIVE = frozenset({0xC2, 0xC6, 0xCA, 0xCE})
WITHOUT_LENGTH = frozenset({0x01, *range(0xD0, 0xD9)})
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
TIFF_SIZES = {3: ("H", 2), 4: ("I", 4)}
OTHERS = (
    (re.compile(rb"\Z"), "empty"),
    (re.compile(rb"....ftyp(hei|hev|mif1|msf1|avi)", re.DOTALL), "a HEIC or AVIF picture: convert it to JPEG"),
    (
        re.compile(rb"....(ftyp|moov)|\x1aE\xdf\xa3|RIFF....AVI |\0\0\x01\xba", re.DOTALL),
        "a video, whose faces fkp-edge predict and fkp.track follow",
    ),
    (re.compile(rb"GIF8"), "a GIF: convert it to PNG"),
    (re.compile(rb"....TFL3", re.DOTALL), "a model file"),
)
"""What is no picture, or none that is read, by how it starts."""
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""No text has these."""
TIFF_TAGS = {256: "width", 257: "height", 258: "bits", 277: "channels"}


class Claim(NamedTuple):
    """What a picture says of itself."""

    kind: str
    """JPEG, PNG, BMP, WebP, PNM or TIFF."""
    width: int
    height: int
    memory: int
    """Bytes that the decoder holds beside the picture that it gives: its own rows, or all coefficients."""
    work: int
    """Pixels that it goes over, all scans together."""

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.width * self.height


def read_header(coded: bytes) -> Claim:
    """What the picture in `coded` claims to be.

    Raises:
        InputError: it is of no kind that is known, is cut within its header, or claims what no picture has.
    """
    for start, read in READERS:
        if start.match(coded):
            try:
                claim = read(coded)
            except (struct.error, IndexError, ValueError, OverflowError) as error:
                if isinstance(error, InputError):
                    raise
                raise InputError(f"its header is damaged ({error}); expected a whole picture") from error
            if not (0 < claim.width <= MAX_SIDE and 0 < claim.height <= MAX_SIDE):
                raise InputError(f"it claims {claim.width}x{claim.height} pixels; expected sides of 1 to {MAX_SIDE}")
            return claim
    raise InputError(f"it is {_what_else(coded)}; expected a JPEG, PNG, BMP, WebP, PGM, PPM or TIFF")


def _what_else(coded: bytes) -> str:
    """What people give where a picture is expected."""
    for start, kind in OTHERS:
        if start.match(coded):
            return kind
    return "no picture of a known kind" if CONTROL.search(coded[:512]) else "a text file"


def _jpeg(coded: bytes) -> Claim:
    width = height = memory = scans = at = 0
    at, progressive = 2, False
    while at + 4 <= len(coded):
        if coded[at] != 0xFF:  # within the data of a scan, or rubbish, which libjpeg skips too
            at = coded.find(b"\xff", at)
            if at < 0:
                break
            continue
        marker = coded[at + 1]
        if marker in {0x00, 0xFF} or marker in WITHOUT_LENGTH:
            at += 1 if marker == 0xFF else 2
            continue
        if marker == 0xD9:
            break
        if marker in STARTS_OF_FRAME:
            if width:
                raise InputError("it has two frames; expected a JPEG with one")
            height, width, channels = struct.unpack_from(">HHB", coded, at + 5)
            progressive = marker in PROGRESSIVE
            memory = _coefficients(coded, at + 10, width, height, channels) if progressive else 0
        if marker == 0xDA:
            scans += 1
            if scans > MAX_SCANS:
                raise InputError(f"it has over {MAX_SCANS} scans; expected a JPEG with fewer")
        at += 2 + int.from_bytes(coded[at + 2 : at + 4])
    if not width or not scans:
        raise InputError("it is a JPEG without a picture; expected a whole one")
    if not progressive and scans > 4:
        raise InputError(f"it is a sequential JPEG of {scans} scans; expected at most 4")
    # a sequential JPEG of several scans keeps its coefficients, too
    memory = memory or (8 * width * height if scans > 1 else 0)
    return Claim("JPEG", width, height, memory, scans * width * height)


def _coefficients(coded: bytes, at: int, width: int, height: int, channels: int) -> int:
    """Bytes of all coefficients, two each, at the sampling of each component."""
    sampling = [(coded[at + 3 * i + 1] >> 4, coded[at + 3 * i + 1] & 15) for i in range(channels)]
    wide, high = max(h for h, _ in sampling), max(v for _, v in sampling)
    if not wide or not high:
        raise InputError("its components have no size; expected a whole JPEG")
    return sum(2 * width * height * h * v // (wide * high) for h, v in sampling)


def _png(coded: bytes) -> Claim:
    width, height, depth, kind, _, _, interlaced = struct.unpack_from(">IIBBBBB", coded, 16)
    if coded[12:16] != b"IHDR" or kind not in PNG_CHANNELS:
        raise InputError("its first part is no IHDR; expected a whole PNG")
    rows = height if interlaced else 2
    row = width * PNG_CHANNELS[kind] * max(1, depth // 8)
    # OpenCV opens colour with alpha, and what has 16 bits, in full before it makes it grey
    whole = kind in {4, 6} or depth == 16 or interlaced
    return Claim("PNG", width, height, row * height if whole else row * rows, width * height)


def _bmp(coded: bytes) -> Claim:
    (size,) = struct.unpack_from("<I", coded, 14)
    if size == 12:
        width, height = struct.unpack_from("<HH", coded, 18)
    else:
        width, height = struct.unpack_from("<ii", coded, 18)
    return Claim("BMP", width, abs(height), 4 * width, width * abs(height))


def _webp(coded: bytes) -> Claim:
    if len(coded) < 30:
        raise InputError("it is cut within its header; expected a whole WebP")
    chunk = coded[12:16]
    if chunk == b"VP8X":
        width, height = (1 + int.from_bytes(coded[i : i + 3], "little") for i in (24, 27))
    elif chunk == b"VP8L":
        bits = int.from_bytes(coded[21:25], "little")
        width, height = (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    else:
        width, height = (value & 0x3FFF for value in struct.unpack_from("<HH", coded, 26))
    return Claim("WebP", width, height, 4 * width * height, width * height)


def _pnm(coded: bytes) -> Claim:
    numbers = re.match(rb"P[1-6]((?:\s+|#[^\n]*\n)+\d+)((?:\s+|#[^\n]*\n)+\d+)\s", coded[:4096])
    if not numbers:
        raise InputError("it has no size after its first letters; expected a whole PGM or PPM")
    width, height = (int(re.sub(rb"#[^\n]*\n", b"", number)) for number in numbers.groups())
    return Claim("PNM", width, height, 12 * width, width * height)


def _tiff(coded: bytes) -> Claim:
    order = "<" if coded[:2] == b"II" else ">"
    (at,) = struct.unpack_from(f"{order}I", coded, 4)
    (count,) = struct.unpack_from(f"{order}H", coded, at)
    found = {"bits": 1, "channels": 1}
    for entry in range(at + 2, at + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", coded, entry)
        if tag not in TIFF_TAGS or kind not in TIFF_SIZES:
            continue
        letter, size = TIFF_SIZES[kind]
        place = entry + 8 if values * size <= 4 else struct.unpack_from(f"{order}I", coded, entry + 8)[0]
        (found[TIFF_TAGS[tag]],) = struct.unpack_from(order + letter, coded, place)
    if not {"width", "height"} <= found.keys():
        raise InputError("it is a TIFF without a size; expected a whole one")
    width, height = found["width"], found["height"]
    return Claim("TIFF", width, height, width * height * found["channels"] * max(1, found["bits"] // 8), width * height)


READERS: tuple[tuple[re.Pattern[bytes], Callable[[bytes], Claim]], ...] = (
    (re.compile(rb"\xff\xd8"), _jpeg),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), _png),
    (re.compile(rb"BM"), _bmp),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), _webp),
    (re.compile(rb"P[1-6][\s#]"), _pnm),
    (re.compile(rb"II\*\x00|MM\x00\*"), _tiff),
)
