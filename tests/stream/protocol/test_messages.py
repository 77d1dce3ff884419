from __future__ import annotations

import random
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from fkp_edge.core import measures as core
from fkp_edge.core.observation import Face, Observation, State
from fkp_edge.core.observation import Position as Place
from fkp_edge.errors import StreamError
from fkp_edge.stream import decode_client, decode_server, encode, from_observation
from fkp_edge.stream.protocol import messages
from fkp_edge.stream.protocol.messages import (
    Auth,
    ErrorMessage,
    FaceMessage,
    Hello,
    Measures,
    ObservationMessage,
    Ping,
    Pong,
    Pose,
    Position,
)

FACE = FaceMessage(id=3, score=0.987, box=(10.0, 20.5, 200.25, 200.25), points=((1.25, 2.5), (-3.0, 400.01)))
POSE = Pose(yaw=-12.5, pitch=0.0, roll=3.1)

GOLDEN = [
    (
        Hello(model="fkp15", model_sha256="ab", points=("a", "b"), frame_size=(640, 480), source="demo", server_ns=7),
        b'{"type":"hello","protocol":1,"model":"fkp15","model_sha256":"ab","points":["a","b"],'
        b'"frame_size":[640,480],"source":"demo","server_ns":7}\n',
    ),
    (
        ObservationMessage(sequence=5, captured_ns=10, sent_ns=20, state="tracking", dropped=2, faces=(FACE,)),
        b'{"type":"observation","sequence":5,"captured_ns":10,"sent_ns":20,"state":"tracking","dropped":2,'
        b'"faces":[{"id":3,"score":0.987,"box":[10.0,20.5,200.25,200.25],"points":[[1.25,2.5],[-3.0,400.01]]}]}\n',
    ),
    (
        ObservationMessage(
            sequence=6,
            captured_ns=11,
            sent_ns=21,
            state="held",
            dropped=0,
            faces=(msgspec.structs.replace(FACE, pose=POSE),),
        ),
        b'{"type":"observation","sequence":6,"captured_ns":11,"sent_ns":21,"state":"held","dropped":0,'
        b'"faces":[{"id":3,"score":0.987,"box":[10.0,20.5,200.25,200.25],"points":[[1.25,2.5],[-3.0,400.01]],'
        b'"pose":{"yaw":-12.5,"pitch":0.0,"roll":3.1}}]}\n',
    ),
    (Auth(token="secret"), b'{"type":"auth","token":"secret"}\n'),
    (Ping(client_ns=1), b'{"type":"ping","client_ns":1}\n'),
    (Pong(client_ns=1, server_ns=2), b'{"type":"pong","client_ns":1,"server_ns":2}\n'),
    (ErrorMessage(text="no\nnewline"), b'{"type":"error","text":"no\\nnewline"}\n'),
]


def decode(message: msgspec.Struct, line: bytes) -> msgspec.Struct:
    return decode_client(line) if isinstance(message, Auth | Ping) else decode_server(line)


def tagged() -> set[type]:
    """Every public message type."""
    public = [value for name, value in vars(messages).items() if isinstance(value, type) and name[0] != "_"]
    return {kind for kind in public if issubclass(kind, msgspec.Struct) and kind.__struct_config__.tag}


def test_every_message_type_has_a_golden_line():
    assert tagged() == {type(message) for message, _ in GOLDEN}


@pytest.mark.parametrize(("message", "line"), GOLDEN)
def test_golden_lines_are_written(message, line):
    assert encode(message) == line


@pytest.mark.parametrize(("message", "line"), GOLDEN)
def test_golden_lines_are_read(message, line):
    assert decode(message, line) == message


@pytest.mark.parametrize(("message", "line"), GOLDEN)
def test_unknown_fields_are_ignored(message, line):
    assert decode(message, line.replace(b'"type"', b'"new":{"yaw":[1,2]},"type"')) == message


def test_every_message_type_is_frozen():
    assert all(kind.__struct_config__.frozen for kind in tagged() | {FaceMessage, Pose})


def test_states_are_the_engines():
    assert list(messages.StateName.__args__) == [state.value for state in State]


def observation() -> Observation:
    points = np.array([[1.2345, 2.5], [100.999, -0.004]], np.float32)
    face = Face(id=4, score=np.float32(0.98765), box=(1.005, 2.0, 33.333, 4.0), points=points)
    return Observation(sequence=9, captured_ns=8, state=State.HELD, faces=(face,), dropped=1)


def test_an_observation_is_rounded():
    face = from_observation(observation(), sent_ns=11).faces[0]
    assert (face.score, face.box[2], face.points) == (0.988, 33.33, ((1.23, 2.5), (101.0, 0.0)))


def test_an_observation_round_trips():
    message = from_observation(observation(), sent_ns=11)
    assert decode_server(encode(message)) == message


def test_measures_and_the_place_are_rounded_and_what_is_unknown_is_left_out():
    (face,) = observation().faces
    found = core.Measures(smile=0.12345, blinks=3, blink=core.Blink(10, 20))
    face = replace(face, measures=found, position=Place(1.006, -2.0, 50.0))
    message = from_observation(replace(observation(), faces=(face,)), sent_ns=11)
    assert message.faces[0].measures == Measures(smile=0.123, blinks=3, blink=(10, 20))
    assert message.faces[0].position == Position(x=1.01, y=-2.0, z=50.0)
    line = encode(message)
    assert b'"measures":{"smile":0.123,"blinks":3,"blink":[10,20]},"position":{"x":1.01,"y":-2.0,"z":50.0}}' in line
    assert decode_server(line) == message


def test_an_observation_keeps_its_fields():
    message = from_observation(replace(observation(), faces=()), sent_ns=11)
    assert message == ObservationMessage(sequence=9, captured_ns=8, sent_ns=11, state="held", dropped=1, faces=())


GARBAGE = [b"", b"\n", b"\xff\xfe\n", b"null\n", b"[]\n", b"{}\n", b'{"type":"ping"}\n', b'{"client_ns":1}\n']
GARBAGE += [b'{"type":"\xff"}\n', b'{"type":"hallo"}\n', b'{"type":"ping","client_ns":1}{}\n', b"GET / HTTP/1.1\r\n"]
GARBAGE += [b'{"type":"ping","client_ns":1,"x":' + b"[" * 900 + b"\n", b'{"type":"ping","client_ns":"1"}\n']
GARBAGE += [b'{"type":"ping","client_ns":18446744073709551616}\n', b'{"type":"pong","client_ns":1e999}\n']


@pytest.mark.parametrize("line", GARBAGE)
def test_garbage_is_an_error_to_the_server(line):
    with pytest.raises(
        StreamError, match=r"is not understood .* expected one JSON object a line, of type auth or ping$"
    ):
        decode_client(line)


@pytest.mark.parametrize("line", GARBAGE)
def test_garbage_is_an_error_to_the_client(line):
    with pytest.raises(StreamError, match=r"is not understood .* of type hello, observation, pong or error$"):
        decode_server(line)


def test_deep_brackets_are_an_error():
    with pytest.raises(StreamError, match="is not understood"):
        decode_server(b'{"type":"hello","x":' + b"[" * 60_000)


def test_an_error_shows_the_start_of_the_line_only():
    with pytest.raises(StreamError) as raised:
        decode_server(b"x" * 60_000)
    assert str(raised.value).startswith(f"b'{'x' * 60}'... is not understood")
    assert len(str(raised.value)) < 250


def test_a_client_may_not_send_what_servers_do():
    with pytest.raises(StreamError, match="is not for a client to send; expected auth or ping"):
        decode_client(encode(Pong(client_ns=1, server_ns=2)))


def test_a_server_may_not_send_what_clients_do():
    with pytest.raises(StreamError, match="is not for a server to send; expected hello"):
        decode_server(encode(Ping(client_ns=1)))


def test_a_newer_version_asks_for_an_upgrade_here():
    with pytest.raises(StreamError, match=r"protocol version 2 and this client speaks 1; upgrade fkp-edge$"):
        decode_server(GOLDEN[0][1].replace(b'"protocol":1', b'"protocol":2'))


def test_a_newer_version_is_named_even_if_its_hello_is_another():
    with pytest.raises(StreamError, match="protocol version 3 and this client speaks 1"):
        decode_server(b'{"type":"hello","protocol":3,"model":{"name":"new"}}\n')


def test_an_older_version_asks_for_an_upgrade_there():
    with pytest.raises(StreamError, match=r"protocol version 0 .* upgrade fkp-edge on the device$"):
        decode_server(b'{"type":"hello","protocol":0}\n')


def mangled(random_: random.Random, line: bytes) -> bytes:
    """`line` with some bytes replaced, doubled or cut; or bytes at random."""
    if random_.random() < 0.3:
        return random_.randbytes(random_.randrange(100))
    data = bytearray(line)
    for _ in range(random_.randrange(1, 6)):
        at = random_.randrange(len(data) + 1)
        data[at : at + random_.randrange(4)] = random_.choice(
            [random_.randbytes(2), b'"', b"}", b"[", b"9" * 5000, b""]
        )
    return bytes(data)


@pytest.mark.parametrize("decoder", [decode_client, decode_server])
def test_any_bytes_give_a_message_or_a_stream_error(decoder):
    random_ = random.Random(7)
    refused = 0
    for i in range(2000):
        try:
            encode(decoder(mangled(random_, GOLDEN[i % len(GOLDEN)][1])))
        except StreamError:
            refused += 1
    assert 1000 < refused < 2000


def test_peers_cannot_steer_a_terminal():
    assert messages.printable("\x1b[2Jevil\n" + "x" * 400, limit=9) == "?[2Jevil?..."
