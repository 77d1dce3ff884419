from __future__ import annotations

import random
import struct

import msgspec
import pytest

from fkp_edge.errors import StreamError
from fkp_edge.stream.protocol.datagrams import decode_datagram, encode_datagram
from fkp_edge.stream.protocol.messages import FaceMessage, Measures, ObservationMessage, Pose, Position


def test_a_face_has_200_bytes(observe):
    assert len(encode_datagram(observe(7))) == 200


def test_an_observation_round_trips(observe):
    assert decode_datagram(encode_datagram(observe(7, faces=3))) == observe(7, faces=3)


def test_a_hello_round_trips(hello):
    assert decode_datagram(encode_datagram(hello)) == hello


def test_what_follows_a_faces_points_is_skipped(observe):
    """A later server of version 1 may add fields there."""
    data = encode_datagram(observe(7, faces=2))
    face = len(data) - 44 >> 1
    longer = data[:44] + data[44 : 44 + face] + b"new!" + data[44 + face :] + b"new!"
    head = bytearray(longer)
    struct.pack_into("<H", head, 6, len(longer))
    struct.pack_into("<H", head, 38, face + 4)
    assert decode_datagram(bytes(head)) == observe(7, faces=2)


@pytest.mark.parametrize(
    ("at", "value", "text"),
    [
        (0, b"XXXX", r"a datagram that starts b'XXXX.*' is not of fkp-edge; expected b'FKPE'"),
        (4, b"\x02", "speaks protocol version 2 and this client speaks 1; upgrade fkp-edge$"),
        (4, b"\x00", "speaks protocol version 0 and this client speaks 1; upgrade fkp-edge on the device"),
        (5, b"\x07", r"is of kind 7; expected 0 \(hello\) or 1 \(observation\)"),
        (6, b"\xc9\x00", "a datagram of 200 bytes says that it has 201"),
        (36, b"\x04", "has state 4; expected 0 to 3"),
        (37, b"\x02", "announces 2 faces of 156 bytes and 15 points"),
        (38, b"\x00\x00", "announces 1 faces of 0 bytes"),
        (40, b"\x10\x00", "announces 1 faces of 156 bytes and 16 points"),
        (48, b"\x00\x00\xc0\x7f", "coordinates that are not finite"),
        (80, b"\x00\x00\x80\x7f", "coordinates that are not finite"),
    ],
)
def test_what_is_wrong_is_named(observe, at, value, text):
    data = bytearray(encode_datagram(observe(7)))
    data[at : at + len(value)] = value
    with pytest.raises(StreamError, match=text):
        decode_datagram(bytes(data))


@pytest.mark.parametrize("size", [0, 3, 7, 8, 43])
def test_what_is_cut_is_an_error(observe, size):
    data = bytearray(encode_datagram(observe(7))[:size])
    if size >= 8:
        struct.pack_into("<H", data, 6, size)
    with pytest.raises(StreamError, match=r"a datagram that starts|an observation datagram has"):
        decode_datagram(bytes(data))


def test_any_bytes_give_a_message_or_a_stream_error(hello, observe):
    random_ = random.Random(5)
    refused = 0
    for i in range(3000):
        data = bytearray(encode_datagram((hello, observe(i, faces=i % 3))[i % 2]))
        for _ in range(random_.randrange(1, 4)):
            data[random_.randrange(len(data))] = random_.randrange(256)
        del data[random_.choice([len(data), random_.randrange(len(data))]) :]
        if len(data) >= 8 and random_.random() < 0.7:
            struct.pack_into("<H", data, 6, len(data))
        try:
            encode_datagram(decode_datagram(bytes(data)))
        except StreamError:
            refused += 1
    assert 1000 < refused < 3000


def test_a_hello_datagram_that_holds_another_message_is_refused(hello, line):
    good = encode_datagram(hello)
    body = line(1).rstrip(b"\n")
    bad = good[:6] + (8 + len(body)).to_bytes(2, "little") + body
    with pytest.raises(StreamError, match="a hello datagram holds ObservationMessage; expected a hello"):
        decode_datagram(bad)


def test_what_single_floats_blur_is_read_as_it_was_sent():
    """Hundredths of a pixel, thousandths of a score and tenths of a degree, as on the other transports."""
    face = FaceMessage(
        id=1,
        score=0.123,
        box=(1000.01, 0.07, 333.33, 4095.99),
        points=((639.99, 0.01), (-12.34, 1919.95)),
        pose=Pose(yaw=-33.3, pitch=0.1, roll=179.9),
    )
    message = ObservationMessage(sequence=1, captured_ns=2, sent_ns=3, state="tracking", dropped=0, faces=(face,))
    assert decode_datagram(encode_datagram(message)) == message


def test_steps_finer_than_the_protocols_are_rounded():
    face = FaceMessage(id=1, score=0.98765, box=(1.006, 2.004, 3.0, 4.0), points=((5.126, 6.124),))
    message = ObservationMessage(sequence=1, captured_ns=2, sent_ns=3, state="tracking", dropped=0, faces=(face,))
    (read,) = decode_datagram(encode_datagram(message)).faces
    assert (read.score, read.box, read.points) == (0.988, (1.01, 2.0, 3.0, 4.0), ((5.13, 6.12),))


@pytest.mark.parametrize(
    ("measures", "position"),
    [
        (Measures(smile=0.25, eye_open_left=1.5), None),
        (Measures(blinks=3, blink=(10, 20)), Position(x=1.5, y=-2.0, z=60.25)),
        (None, Position(x=0.0, y=0.0, z=50.0)),
    ],
)
def test_measures_and_places_round_trip_beside_a_face_without(measures: Measures | None, position: Position | None):
    plain = FaceMessage(id=1, score=0.5, box=(1.0, 2.0, 3.0, 4.0), points=((5.0, 6.0),))
    told = msgspec.structs.replace(plain, id=2, measures=measures, position=position)
    faces = (plain, told)
    message = ObservationMessage(sequence=1, captured_ns=2, sent_ns=3, state="tracking", dropped=0, faces=faces)
    read = decode_datagram(encode_datagram(message)).faces
    assert (read[0].measures, read[0].position) == (None, None)
    assert (read[1].measures, read[1].position) == (measures, position)


def test_what_a_datagram_of_wild_measures_says_can_be_sent_on():
    """Lines of a recording may hold any numbers; a replay sends them as datagrams."""
    wild = Measures(blinks=2**40, blink=(-1, 2**63))
    face = FaceMessage(id=1, score=0.5, box=(1.0, 2.0, 3.0, 4.0), points=((5.0, 6.0),), measures=wild)
    message = ObservationMessage(sequence=1, captured_ns=2, sent_ns=3, state="tracking", dropped=0, faces=(face,))
    assert decode_datagram(encode_datagram(message)).faces[0].points == face.points


def test_a_face_whose_record_ends_before_its_measures_has_none(observe):
    """A server that says `measured` without the room for it."""
    face = msgspec.structs.replace(observe(1).faces[0], held=True)
    data = bytearray(encode_datagram(msgspec.structs.replace(observe(1), faces=(face,))))
    data[-4] |= 6
    assert decode_datagram(bytes(data)).faces == (face,)


def test_a_held_face_is_marked_and_costs_others_nothing():
    face = FaceMessage(id=1, score=0.5, box=(1.0, 2.0, 3.0, 4.0), points=((5.0, 6.0),))
    held = FaceMessage(id=2, score=0.5, box=(1.0, 2.0, 3.0, 4.0), points=((5.0, 6.0),), held=True)
    seen = ObservationMessage(sequence=1, captured_ns=2, sent_ns=3, state="tracking", dropped=0, faces=(face, face))
    both = ObservationMessage(sequence=1, captured_ns=2, sent_ns=3, state="tracking", dropped=0, faces=(face, held))
    assert [f.held for f in decode_datagram(encode_datagram(both)).faces] == [False, True]
    assert len(encode_datagram(both)) == len(encode_datagram(seen)) + 2 * 4


def test_what_is_kept_for_later_is_zero(observe):
    assert encode_datagram(observe(7))[42:44] == b"\0\0"


def test_an_id_or_a_count_that_outgrew_its_field_goes_on_from_zero_or_stays_at_its_end():
    face = FaceMessage(id=2**32 + 7, score=0.5, box=(1.0, 2.0, 3.0, 4.0), points=((5.0, 6.0),))
    message = ObservationMessage(sequence=1, captured_ns=2, sent_ns=3, state="tracking", dropped=2**40, faces=(face,))
    read = decode_datagram(encode_datagram(message))
    assert (read.faces[0].id, read.dropped) == (7, 2**32 - 1)
