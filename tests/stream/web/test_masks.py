from __future__ import annotations

import pytest

pytest.importorskip("aiohttp", reason="needs fkp-edge[web]")

from hypothesis import given, settings
from hypothesis import strategies as st

from fkp_edge.stream.web.places import IMPOSSIBLE, MaskedFrames


class Recording:
    def __init__(self) -> None:
        self.fed = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.fed += data
        return False, b""

    def feed_eof(self) -> None:
        self.fed += b"end"


def frame(size: int, *, masked: bool = True) -> bytes:
    bit = 0x80 if masked else 0
    if size < 126:
        head = bytes([0x82, bit | size])
    elif size < 2**16:
        head = bytes([0x82, bit | 126]) + size.to_bytes(2)
    else:
        head = bytes([0x82, bit | 127]) + size.to_bytes(8)
    return head + b"mask" * masked + bytes(size)


@settings(deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 125, 126, 127, 65536]), max_size=4),
    st.sampled_from([0, 5, 126, 65536]),
    st.lists(st.integers(1, 30000), min_size=1),
)
def test_all_before_a_frame_without_a_mask_is_read_and_nothing_after(sizes, last, pieces):
    good = b"".join(map(frame, sizes))
    data = good + frame(last, masked=False)
    parser = Recording()
    frames = MaskedFrames(parser)
    at = 0
    while at < len(data):
        size = pieces[at % len(pieces)]
        frames.feed_data(data[at : at + size])
        at += size
    assert parser.fed == good + IMPOSSIBLE
    frames.feed_eof()
    assert parser.fed.endswith(b"end")
