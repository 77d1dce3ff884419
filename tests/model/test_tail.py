"""Tails that we did not write: every one is refused in a line, none is unpacked beyond its bounds."""

from __future__ import annotations

import io
import random
import struct
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest

from fkp_edge.errors import ModelFileError
from fkp_edge.model.file import encode_model_file, parse_model_file, read_model_file
from fkp_edge.model.shipped import shipped_model
from fkp_edge.model.tail import NoTailError, TailError, open_tail, read_arrays, read_member

SHIPPED = read_model_file(shipped_model())


def packed(name: str, content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.writestr(name, content)
    return buffer.getvalue()


def npy(header: bytes, content: bytes = b"", version: bytes = b"\1\0") -> bytes:
    """A .npy file with this header."""
    header = header.ljust(117) + b"\n"
    return packed("a.npy", b"\x93NUMPY" + version + struct.pack("<H", len(header)) + header + content)


def described(kind: str = "|u1", shape: str = "(2,)", order: str = "False") -> bytes:
    return f"{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}".encode()


def test_what_numpy_writes_is_read() -> None:
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.array(7), np.zeros((0,), np.int8), np.ones(3, "u1")]
    for array in arrays:
        buffer = io.BytesIO()
        np.lib.format.write_array(buffer, array, allow_pickle=False)
        found = read_arrays(packed("a.npy", buffer.getvalue()), 10_000)["a"]
        assert found.dtype == array.dtype
        np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize(
    "content",
    [
        npy(described("|O"), b"xx"),
        npy(described("<U9"), bytes(72)),
        npy(described("<f8", "(1e9,)")),
        npy(described(shape="(1, 30000000)")),
        npy(described(shape="(2, 2, 2, 2)"), bytes(16)),
        npy(described(order="True"), b"xx"),
        npy(described(), b"x"),
        npy(described(), b"xxx"),
        npy(described(), b"xx", b"\2\0"),
        npy(b"__import__('os').system('true')"),
        npy(b""),
        packed("a.npy", b""),
        packed("a.npy", b"\x93NUMPY"),
        b"",
        b"PK",
    ],
)
def test_arrays_that_we_do_not_write(content: bytes) -> None:
    with pytest.raises(TailError):
        read_arrays(content, 10**8)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_ways_of_packing_that_we_do_not_use(method: int) -> None:
    archive, _ = open_tail(packed("a", b"content", method))
    with pytest.raises(TailError, match=f"a is packed by method {method}; expected stored or deflated"):
        read_member(archive, "a", 100)


def test_a_member_larger_than_its_limit() -> None:
    archive, _ = open_tail(packed("a", bytes(101)))
    with pytest.raises(TailError, match="a unpacks to 101 bytes, expected at most 100"):
        read_member(archive, "a", 100)


def test_too_many_members() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(1001):
            archive.writestr(str(number), b"")
    with pytest.raises(TailError, match="has 1001 members; expected at most 1000"):
        open_tail(buffer.getvalue())


def test_no_tail() -> None:
    with pytest.raises(NoTailError):
        open_tail(bytes(1000))


@pytest.mark.parametrize(
    ("field", "value"), [("name", "n" * 70_000), ("name", ""), ("mean_shape", [[1.0]]), ("format", 10**40)]
)
def test_cards_that_we_do_not_write(field: str, value: object) -> None:
    card = msgspec.to_builtins(SHIPPED.card) | {field: value}
    tail = io.BytesIO()
    with zipfile.ZipFile(tail, "w") as archive:
        archive.writestr(
            "card.json", msgspec.json.encode(card) if field != "format" else b'{"format": 1' + b"0" * 5000 + b"}"
        )
        archive.writestr("golden.npz", b"")
    with pytest.raises(ModelFileError, match=r"a\.tflite: its card cannot be read"):
        parse_model_file(Path("a.tflite"), SHIPPED.flatbuffer + tail.getvalue())


def test_mutated_tails_are_read_or_refused() -> None:
    assert SHIPPED.card
    content = encode_model_file(SHIPPED.flatbuffer, SHIPPED.card, SHIPPED.golden[:1])
    start, chance = len(SHIPPED.flatbuffer), random.Random(0)
    for _ in range(3000):
        mutant = bytearray(content)
        for _ in range(chance.choice((1, 2, 8))):
            mutant[chance.randrange(start, len(mutant))] = chance.choice((0, 1, 14, 127, 255, chance.randrange(256)))
        cut = chance.randrange(start, len(mutant)) if chance.random() < 0.1 else None
        try:
            parse_model_file(Path("a.tflite"), bytes(mutant[:cut]))
        except ModelFileError as error:
            assert str(error).startswith("a.tflite")  # noqa: PT017 - either outcome is right
