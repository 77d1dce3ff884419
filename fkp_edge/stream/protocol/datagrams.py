"""Protocol version 1 as UDP datagrams: the same messages, compact and little-endian. No socket here.

A datagram is a header (magic, version, kind, length of the whole) and a body. A hello's body is its JSON; an
observation's is laid out as `docs/protocol.md` says, each face in `face_bytes` bytes: later fields come after the
points, and readers skip what they do not know.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

from fkp_edge.errors import StreamError
from fkp_edge.stream.protocol.messages import (
    PROTOCOL,
    FaceMessage,
    Hello,
    Measures,
    ObservationMessage,
    Pose,
    Position,
    StateName,
    decode_server,
    encode,
)

__all__ = ["MAX_DATAGRAM_BYTES", "LineBuffer", "decode_datagram", "encode_datagram"]


class LineBuffer:
    """Cuts received bytes into lines.

    Feed it only once `next_line` has given `None`: then it never holds more than one line's limit and one chunk.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = bytearray()

    def __len__(self) -> int:
        """Bytes held: after the last line, those of an unfinished one."""
        return len(self._bytes)

    def feed(self, chunk: bytes) -> None:
        """Takes what the socket gave."""
        self._bytes += chunk

    def next_line(self) -> bytes | None:
        """The next line with its newline, or `None` until more is fed.

        Raises:
            StreamError: the line has more bytes than allowed, newline included.
        """
        size = self._bytes.find(b"\n", 0, self._max_bytes) + 1
        if size:
            line = bytes(self._bytes[:size])
            del self._bytes[:size]
            return line
        if len(self._bytes) < self._max_bytes:
            return None
        start = bytes(self._bytes[:40])
        raise StreamError(f"a line that starts {start!r} is too long; expected at most {self._max_bytes} bytes")


MAGIC = b"FKPE"
HELLO, OBSERVATION = 0, 1
MAX_DATAGRAM_BYTES = 65_507
"""Of UDP over IPv4."""
STATES: tuple[StateName, ...] = ("searching", "tracking", "held", "no_camera")

_HEADER = struct.Struct("<4sBBH")
_OBSERVATION = struct.Struct("<QQQIBBHHH")
_FACE = struct.Struct("<If4f3f")
_FLAGS = struct.Struct("<I")
"""After the points: bit 0, held; bit 1, measured; bit 2, its place is known."""
HELD, MEASURED, PLACED = 1, 2, 4
_MEASURES = struct.Struct("<7fIQQ3f")
"""After the flags: seven measures, not a number where they are not known; blinks, the last one's times; the place."""
NO_BLINKS = 2**32 - 1
_MEASURE_NAMES = Measures.__struct_fields__[:7]


def encode_datagram(message: Hello | ObservationMessage) -> bytes:
    """`message` as one datagram."""
    body = encode(message)[:-1] if isinstance(message, Hello) else _observation(message)
    kind = HELLO if isinstance(message, Hello) else OBSERVATION
    return _HEADER.pack(MAGIC, PROTOCOL, kind, _HEADER.size + len(body)) + body


def decode_datagram(data: bytes) -> Hello | ObservationMessage:
    """The message in a datagram: pixels in hundredths, scores in thousandths, as on the other transports.

    Raises:
        StreamError: it is no datagram of this protocol, or of another version.
    """
    if len(data) < _HEADER.size or data[:4] != MAGIC:
        raise StreamError(f"a datagram that starts {data[:8]!r} is not of fkp-edge; expected {MAGIC!r}")
    _, version, kind, length = _HEADER.unpack_from(data)
    if version != PROTOCOL:
        older = "fkp-edge" if version > PROTOCOL else "fkp-edge on the device"
        raise StreamError(f"a datagram speaks protocol version {version} and this client speaks 1; upgrade {older}")
    if length != len(data):
        raise StreamError(f"a datagram of {len(data)} bytes says that it has {length}; expected all of it")
    if kind == HELLO:
        message = decode_server(data[_HEADER.size :])
        if not isinstance(message, Hello):
            raise StreamError(f"a hello datagram holds {type(message).__name__}; expected a hello")
        return message
    if kind != OBSERVATION:
        raise StreamError(f"a datagram is of kind {kind}; expected {HELLO} (hello) or {OBSERVATION} (observation)")
    return _decode_observation(data)


def _observation(message: ObservationMessage) -> bytes:
    points = len(message.faces[0].points) if message.faces else 0
    # only what is needed: without these a face is as long as it always was
    measures = any(face.measures or face.position for face in message.faces)
    flags = measures or any(face.held for face in message.faces)
    head = _OBSERVATION.pack(
        message.sequence,
        message.captured_ns,
        message.sent_ns,
        min(message.dropped, 2**32 - 1),
        STATES.index(message.state),
        len(message.faces),
        _FACE.size + 8 * points + flags * _FLAGS.size + measures * _MEASURES.size,
        points,
        0,
    )
    return head + b"".join(
        _face(face) + (_flags(face) if flags else b"") + (_measures(face) if measures else b"")
        for face in message.faces
    )


def _face(face: FaceMessage) -> bytes:
    pose = (math.nan,) * 3 if face.pose is None else (face.pose.yaw, face.pose.pitch, face.pose.roll)
    flat = [value for point in face.points for value in point]
    return _FACE.pack(face.id % 2**32, face.score, *face.box, *pose) + struct.pack(f"<{len(flat)}f", *flat)


def _flags(face: FaceMessage) -> bytes:
    return _FLAGS.pack(face.held * HELD | (face.measures is not None) * MEASURED | (face.position is not None) * PLACED)


def _measures(face: FaceMessage) -> bytes:
    found, place = face.measures or Measures(), face.position
    values = [math.nan if (value := getattr(found, name)) is None else value for name in _MEASURE_NAMES]
    blinks = NO_BLINKS if found.blinks is None else found.blinks % NO_BLINKS
    times = (at % 2**64 for at in found.blink or (0, 0))
    xyz = (math.nan,) * 3 if place is None else (place.x, place.y, place.z)
    return _MEASURES.pack(*values, blinks, *times, *xyz)


def _decode_observation(data: bytes) -> ObservationMessage:
    start = _HEADER.size + _OBSERVATION.size
    if len(data) < start:
        raise StreamError(f"an observation datagram has {len(data)} bytes; expected at least {start}")
    fields = _OBSERVATION.unpack_from(data, _HEADER.size)
    sequence, captured_ns, sent_ns, dropped, state, faces, face_bytes, points, _ = fields
    if state >= len(STATES):
        raise StreamError(f"a datagram has state {state}; expected 0 to {len(STATES) - 1}")
    if faces and (face_bytes < _FACE.size + 8 * points or len(data) < start + faces * face_bytes):
        raise StreamError(
            f"a datagram of {len(data)} bytes announces {faces} faces of {face_bytes} bytes and {points} points; "
            f"expected {_FACE.size} bytes and 8 a point for each"
        )
    return ObservationMessage(
        sequence=sequence,
        captured_ns=captured_ns,
        sent_ns=sent_ns,
        state=STATES[state],
        dropped=dropped,
        faces=tuple(_decode_faces(data, start, faces, face_bytes, points)),
    )


def _decode_faces(data: bytes, start: int, faces: int, face_bytes: int, points: int) -> Iterator[FaceMessage]:
    for i in range(faces):
        at = start + i * face_bytes
        number, score, *rest = _FACE.unpack_from(data, at)
        flat = struct.unpack_from(f"<{2 * points}f", data, at + _FACE.size)
        yaw, pitch, roll = (round(angle, 1) for angle in rest[4:])
        values = [round(value, 2) for value in (*rest[:4], *flat)]
        if not (math.isfinite(score) and all(map(math.isfinite, values))):
            raise StreamError("a datagram has coordinates that are not finite; expected pixels")
        x, y, width, height = values[:4]
        end = _FACE.size + 8 * points
        flags = _FLAGS.unpack_from(data, at + end)[0] if face_bytes >= end + _FLAGS.size else 0
        end += _FLAGS.size
        if face_bytes < end + _MEASURES.size:
            flags &= HELD
        yield FaceMessage(
            id=number,
            score=round(score, 3),
            box=(x, y, width, height),
            points=tuple(zip(values[4::2], values[5::2], strict=True)),
            pose=Pose(yaw=yaw, pitch=pitch, roll=roll) if math.isfinite(yaw + pitch + roll) else None,
            held=bool(flags & HELD),
            measures=_decode_measures(data, at + end) if flags & MEASURED else None,
            position=_decode_position(data, at + end) if flags & PLACED else None,
        )


def _decode_measures(data: bytes, at: int) -> Measures:
    fields = _MEASURES.unpack_from(data, at)
    known = {name: round(value, 3) for name, value in zip(_MEASURE_NAMES, fields, strict=False) if math.isfinite(value)}
    blinks, start_ns, end_ns = fields[7:10]
    return Measures(
        **known, blinks=None if blinks == NO_BLINKS else blinks, blink=(start_ns, end_ns) if end_ns else None
    )


def _decode_position(data: bytes, at: int) -> Position | None:
    x, y, z = _MEASURES.unpack_from(data, at)[10:]
    known = math.isfinite(x + y + z)
    return Position(x=round(x, 2), y=round(y, 2), z=round(z, 2)) if known else None
