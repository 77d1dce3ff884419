from __future__ import annotations

import pytest

from fkp_edge.errors import StreamError
from fkp_edge.stream.protocol.datagrams import LineBuffer


def cut(chunks: list[bytes], max_bytes: int = 8) -> list[bytes]:
    lines = LineBuffer(max_bytes)
    found = []
    for chunk in chunks:
        lines.feed(chunk)
        while line := lines.next_line():
            found.append(line)
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_lines_do_not_depend_on_chunks(size):
    data = b"one\ntwo\n\nthree\n"
    assert cut([data[i : i + size] for i in range(0, len(data), size)]) == [b"one\n", b"two\n", b"\n", b"three\n"]


def test_an_unfinished_line_waits():
    assert cut([b"one\ntw"]) == [b"one\n"]


def test_the_limit_includes_the_newline():
    assert cut([b"1234567\n"]) == [b"1234567\n"]


@pytest.mark.parametrize("data", [b"12345678\n", b"12345678", b"1\n23456789\n"])
def test_a_longer_line_is_an_error_with_or_without_its_end(data):
    with pytest.raises(StreamError, match=r"a line that starts b'\d+.*' is too long; expected at most 8 bytes"):
        cut([data])


def test_its_length_is_what_it_holds_of_an_unfinished_line():
    lines = LineBuffer(8)
    lines.feed(b"one\ntw")
    assert len(lines) == 6
    lines.next_line()
    assert len(lines) == 2
