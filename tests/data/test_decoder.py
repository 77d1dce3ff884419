"""Pictures opened in a child under limits: what is whole comes out as it is, bombs cost us nothing."""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.core.subprocesses import Worker
from fkp_edge.data.decoder import ANSWER, FILES, QUESTION, UPLOADS, Decoder
from fkp_edge.data.pictures import decode_picture
from fkp_edge.errors import InputError

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


def coded(suffix: str, picture: np.ndarray = PICTURE) -> bytes:
    return cv2.imencode(suffix, picture)[1].tobytes()


def png(width: int, height: int, depth: int, kind: int, rows: bytes) -> bytes:
    """A PNG that claims what it is told to."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows, 9)) + chunk(b"IEND", b"")


@pytest.fixture(scope="module")
def decoder() -> Iterator[Decoder]:
    with Decoder(FILES) as decoder:
        yield decoder


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".webp", ".ppm", ".tif"])
@pytest.mark.parametrize("color", [False, True])
def test_gives_what_opencv_gives(decoder: Decoder, suffix: str, color: bool) -> None:
    expected = cv2.imdecode(np.frombuffer(coded(suffix), np.uint8), cv2.IMREAD_COLOR if color else cv2.IMREAD_GRAYSCALE)
    given = decoder.decode(coded(suffix), color=color)
    assert given.factor == 1
    np.testing.assert_array_equal(given.pixels, expected)


def test_one_process_opens_many(decoder: Decoder) -> None:
    decoder.decode(coded(".png"))
    first = decoder._worker.pid
    assert all(decoder.decode(coded(".png")).pixels.shape == (20, 30) for _ in range(20))
    assert decoder._worker.pid == first


@pytest.mark.parametrize(("side", "factor"), [(5119, 1), (5120, 2), (10_240, 4), (30_000, 8)])
def test_a_large_jpeg_is_reduced(decoder: Decoder, side: int, factor: int) -> None:
    given = decoder.decode(coded(".jpg", np.full((16, side), 99, np.uint8)))
    assert (given.factor, given.pixels.shape) == (factor, (16 // factor, -(-side // factor)))


@pytest.mark.parametrize(
    ("bomb", "named"),
    [
        (png(25_000, 25_000, 8, 2, bytes(1000)), "has 25000x25000 pixels; expected at most"),
        (png(5000, 5000, 16, 6, bytes(1000)), "takes 190 MB; expected at most 112 MB"),
        (coded(".png")[:60], "it is damaged"),
    ],
)
def test_bombs_are_refused(bomb: bytes, named: str) -> None:
    with Decoder(UPLOADS) as decoder, pytest.raises(InputError, match=named):
        decoder.decode(bomb)


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_what_fails_leaves_no_memory_behind() -> None:
    bombs = [
        png(4000, 4000, 8, 6, bytes(100)),
        png(4900, 4900, 8, 0, bytes(100)),
        coded(".jpg", np.zeros((4800, 4800), np.uint8))[:300],
    ]
    with Decoder(UPLOADS) as decoder:
        for bomb in bombs:
            refused(decoder, bomb)
        before = resident()
        for number in range(100):
            refused(decoder, bombs[number % 3])
        assert resident() - before < 5 * 2**20


def refused(decoder: Decoder, bomb: bytes) -> None:
    try:
        decoder.decode(bomb)
    except InputError:
        return


@pytest.mark.parametrize(("memory", "height"), [(64 * 2**20, 4000), (2**20, 0)])
def test_memory_beyond_the_limit_is_not_had(memory: int, height: int) -> None:
    whole = coded(".jpg", np.zeros((4000, 4000), np.uint8))
    with Worker("fkp_edge.data.decoder") as worker:
        head = bytearray(ANSWER.size)
        worker.ask([QUESTION.pack(len(whole), memory, 10.0, 0, 1), whole], timeout_s=30)
        worker.answer(memoryview(head), time.monotonic() + 30)
        assert ANSWER.unpack(head)[0] == height


def test_a_process_that_takes_too_long_is_ended() -> None:
    slow = UPLOADS._replace(cpu_s=0.0, timeout_s=0.0)
    with Decoder(slow) as decoder:
        with pytest.raises(InputError, match="decoding it takes too long"):
            decoder.decode(coded(".jpg", np.zeros((4000, 4000), np.uint8)))
        assert decoder._worker.pid is None


def test_another_process_follows_one_that_died(decoder: Decoder) -> None:
    decoder.decode(coded(".png"))
    died = decoder._worker.pid or 0
    os.kill(died, signal.SIGKILL)
    refused(decoder, coded(".png"))  # where the kernel had not ended it yet
    assert decoder.decode(coded(".png")).pixels.shape == (20, 30)
    assert decoder._worker.pid != died


def test_a_crash_is_one_line(decoder: Decoder) -> None:
    decoder.start()
    os.kill(decoder._worker.pid or 0, signal.SIGSTOP)
    crash = threading.Timer(0.5, os.kill, (decoder._worker.pid, signal.SIGKILL))
    crash.start()
    with pytest.raises(InputError, match="decoding it ended by SIGKILL; expected a whole PNG"):
        decoder.decode(coded(".png"))
    crash.join()


def test_closing_ends_who_waits() -> None:
    decoder = Decoder(UPLOADS)
    decoder.start()
    os.kill(decoder._worker.pid or 0, signal.SIGSTOP)
    said: list[str] = []

    def wait() -> None:
        try:
            decoder.decode(coded(".png"))
        except InputError as error:
            said.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    decoder.close()
    waiting.join(10)
    assert "was closed" in said[0]
    decoder.close()


PARENT = """
import os, signal, sys
from fkp_edge.core.subprocesses import Worker
from fkp_edge.data.decoder import Decoder
decoder = Decoder()
decoder.decode(bytes.fromhex(sys.argv[1]))
os.kill(decoder._worker.pid, signal.SIGSTOP)
print(decoder._worker.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_ends_with_its_parent() -> None:
    ended = subprocess.run([sys.executable, "-c", PARENT, coded(".png").hex()], capture_output=True, text=True)
    status, end = Path(f"/proc/{int(ended.stdout)}/status"), time.monotonic() + 20
    while status.exists() and "State:\tZ" not in status.read_text():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_files_name_themselves(tmp_path: Path, decoder: Decoder) -> None:
    path = tmp_path / "a.jpg"
    path.write_text("just text")
    with pytest.raises(InputError, match=r"a\.jpg is not a picture that OpenCV reads: it is a text file; expected"):
        decode_picture(path, decoder)
