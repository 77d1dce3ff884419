"""Any bytes at all give a result or an error of ours. `benchmarks/stream_hostile.py` tries many more."""

from __future__ import annotations

import contextlib
import gzip

import pytest

hypothesis = pytest.importorskip("hypothesis", reason="needs hypothesis (fkp-edge[dev])")

from hypothesis import given, settings
from hypothesis import strategies as st

from fkp_edge.errors import FkpEdgeError
from fkp_edge.stream import decode_client, decode_server, encode, parse_address
from fkp_edge.stream.protocol.datagrams import LineBuffer, decode_datagram, encode_datagram
from fkp_edge.stream.protocol.messages import FaceMessage, ObservationMessage, Pose
from fkp_edge.stream.recording.recording import read_recording

HEADER = b'{"type":"recording","version":1,"protocol":1,"started":""}\n'
SCHEMES = ["tcp://", "ws://", "unix://", "mqtt://"]
quick = settings(max_examples=150, deadline=None, database=None, derandomize=True)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)
keys = st.sampled_from(["type", "protocol", "points", "sequence", "state", "faces", "client_ns", "token", "sent_ns"])
objects = st.dictionaries(keys, json_values | st.sampled_from(["hello", "observation", "ping", "auth"]), max_size=8)

hundredths = st.integers(-10_000_000, 10_000_000).map(lambda value: value / 100)
poses = st.builds(Pose, **dict.fromkeys(("yaw", "pitch", "roll"), st.integers(-1800, 1800).map(lambda v: v / 10)))
clocks = st.integers(0, 2**63 - 1)


def faces_of(points: int) -> st.SearchStrategy[FaceMessage]:
    pairs = st.tuples(hundredths, hundredths)
    return st.builds(
        FaceMessage,
        id=st.integers(0, 2**32 - 1),
        score=st.integers(0, 1000).map(lambda value: value / 1000),
        box=st.tuples(*[hundredths] * 4),
        points=st.lists(pairs, min_size=points, max_size=points).map(tuple),
        pose=st.none() | poses,
    )


observations = st.integers(0, 20).flatmap(
    lambda points: st.builds(
        ObservationMessage,
        sequence=clocks,
        captured_ns=clocks,
        sent_ns=clocks,
        state=st.sampled_from(["searching", "tracking", "held", "no_camera"]),
        dropped=st.integers(0, 2**32 - 1),
        faces=st.lists(faces_of(points), max_size=4).map(tuple),
    )
)


def is_ours(parse, data) -> None:
    with contextlib.suppress(FkpEdgeError):
        parse(data)


@quick
@given(st.binary(max_size=300) | objects.map(lambda value: repr(value).replace("'", '"').encode()))
def test_lines(data):
    is_ours(decode_client, data)
    is_ours(decode_server, data)


@quick
@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda rest: b"FKPE\x01\x01" + rest))
def test_datagrams(data):
    is_ours(decode_datagram, data)


@quick
@given(
    st.text(max_size=60) | st.tuples(st.sampled_from(["tcp://", "ws://", "unix://", "mqtt://"]), st.text()).map("".join)
)
def test_addresses(text):
    is_ours(parse_address, text)


@quick
@given(st.binary(max_size=500), st.booleans())
def test_recordings(tmp_path_factory, data, compressed):
    path = tmp_path_factory.mktemp("r") / ("a.gz" if compressed else "a")
    for content in (data, HEADER + data, gzip.compress(HEADER + data), gzip.compress(HEADER)[:-4] + data):
        path.write_bytes(content)
        is_ours(lambda path: list(read_recording(path)), path)


@quick
@given(st.lists(st.binary(max_size=40), max_size=20))
def test_a_line_buffer_holds_no_more_than_a_line_and_a_chunk(chunks):
    lines = LineBuffer(64)

    def feed(chunks) -> None:
        for chunk in chunks:
            lines.feed(chunk)
            assert len(lines) <= 64 + 40
            while lines.next_line():
                pass

    is_ours(feed, chunks)


@quick
@given(observations)
def test_every_observation_survives_both_forms(message):
    assert decode_server(encode(message)) == message
    assert encode_datagram(decode_datagram(encode_datagram(message))) == encode_datagram(message)
    assert len(decode_datagram(encode_datagram(message)).faces) == len(message.faces)
