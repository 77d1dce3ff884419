"""Protocol version 1: every message, the only definition. One JSON object a line; numpy-free, so that clients are."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from fkp_edge.errors import StreamError

__all__ = [
    "MAX_CLIENT_LINE_BYTES",
    "MAX_SERVER_LINE_BYTES",
    "PROTOCOL",
    "Auth",
    "ClientMessage",
    "ErrorMessage",
    "FaceMessage",
    "Hello",
    "Measures",
    "ObservationMessage",
    "Ping",
    "Pong",
    "Pose",
    "Position",
    "ServerMessage",
    "decode_client",
    "decode_server",
    "encode",
    "printable",
    "without_clock",
]

PROTOCOL = 1
MAX_CLIENT_LINE_BYTES = 1024
"""Of a line from a client, newline included."""
MAX_SERVER_LINE_BYTES = 64 * 1024
"""Of a line from a server, newline included."""

StateName = Literal["searching", "tracking", "held", "no_camera"]
# The server sends it back, and the encoder takes no integer beyond 64 bits everywhere that one is read.
ClientNs = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]


class _Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """Base of all lines: a JSON object whose `type` says which."""


class Hello(_Message, frozen=True, kw_only=True, tag="hello"):
    """The first line that a client gets; comes again where what it says has changed, such as a null frame size."""

    protocol: int = PROTOCOL
    """Version of the protocol that the server speaks."""
    model: str
    """Name of the model."""
    model_sha256: str
    """Hash of the model's flatbuffer, 64 hexadecimal digits."""
    points: tuple[str, ...]
    """Names of the K keypoints, in the order of every face's points. Left and right are the subject's."""
    frame_size: tuple[int, int] | None
    """Width and height of the source's frames in pixels; null until one has come."""
    source: str
    """Where frames come from, such as `v4l2:0`."""
    server_ns: int
    """Monotonic clock of the device when this was sent, nanoseconds."""


class Pose(msgspec.Struct, frozen=True, kw_only=True):
    """Where a face looks, in degrees; all 0 facing the camera."""

    yaw: float
    """Positive to the subject's left."""
    pitch: float
    """Positive up."""
    roll: float
    """Positive towards the subject's left shoulder."""


class Measures(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a face does, in thousandths. A field is absent where the points, or a turned head, do not tell."""

    eye_open_left: float | None = None
    """The subject's left eye: 0 shut, 1 as open as is usual for this person, up to 2."""
    eye_open_right: float | None = None
    """The subject's right eye."""
    mouth_open: float | None = None
    """Distance between the lips in pupil distances: 0 closed, about 0.3 speaking loudly, up to 1.5."""
    mouth_wide: float | None = None
    """Width of the mouth in pupil distances: about 0.85 at rest, 1.1 in a broad smile."""
    smile: float | None = None
    """0 none to 1 broad."""
    brow_raise_left: float | None = None
    """Height of the subject's left brow above the eye: 1 as is usual for this person, 1.3 clearly raised."""
    brow_raise_right: float | None = None
    """Height of the subject's right brow."""
    blinks: int | None = None
    """Blinks of both eyes since the face was found."""
    blink: tuple[int, int] | None = None
    """The last one: `captured_ns` of its first frame with shut eyes, and of the first with open ones."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """Where the middle between the eyes is, in centimetres before the camera."""

    x: float
    """To the right of the picture."""
    y: float
    """Down."""
    z: float
    """Away from the camera, along its axis."""


class FaceMessage(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One face of an observation."""

    id: int
    """Stable while the face is tracked; never used again in a run."""
    score: float
    """Probability that this is one well-framed face, 0 to 1."""
    box: tuple[float, float, float, float]
    """x, y, width, height in frame pixels."""
    points: tuple[tuple[float, float], ...]
    """K pairs x, y in frame pixels, integers at pixel centres, in the order of `hello.points`."""
    pose: Pose | None = None
    """Absent where the device does not know it."""
    held: bool = False
    """True where the face was not seen in this frame but a moment ago, its last points repeated; absent where seen."""
    measures: Measures | None = None
    """Absent where the device was not told to measure."""
    position: Position | None = None
    """Absent where the device was not told to measure, or the face does not tell."""


class ObservationMessage(_Message, frozen=True, kw_only=True, tag="observation"):
    """What was seen in one frame. Comes for each processed frame, and at least once a second, then as a repetition."""

    sequence: int
    """Of the frame; the same again where no new frame has come."""
    captured_ns: int
    """Monotonic clock of the device when the frame was taken, nanoseconds."""
    sent_ns: int
    """Monotonic clock of the device when this was published, nanoseconds."""
    state: StateName
    """`tracking`: at least one face was seen in this frame. `held`: none was, but a moment ago; the last points are
    repeated."""
    dropped: int
    """Frames skipped since the observation before, 0 or more."""
    faces: tuple[FaceMessage, ...]
    """Those seen in this frame, then those held; empty while searching and without a camera."""


class Auth(_Message, frozen=True, kw_only=True, tag="auth"):
    """The first line that a client sends where the server asks for a token; HTTP and WebSocket have headers for it."""

    token: str
    """What the device's `--token-file` holds; empty from a client that has none, so that it is refused at once."""


class Ping(_Message, frozen=True, kw_only=True, tag="ping"):
    """Asks the server for its clock."""

    client_ns: ClientNs
    """Any clock of the client, nanoseconds from 0; comes back unchanged."""


class Pong(_Message, frozen=True, kw_only=True, tag="pong"):
    """The answer to a ping."""

    client_ns: int
    """Of the ping."""
    server_ns: int
    """Monotonic clock of the device, nanoseconds."""


class ErrorMessage(_Message, frozen=True, kw_only=True, tag="error"):
    """The last line before the server closes the connection of a client that it refuses."""

    text: str
    """What was wrong and what was expected, for people."""


ServerMessage = Hello | ObservationMessage | Pong | ErrorMessage
ClientMessage = Auth | Ping


class _Greeting(msgspec.Struct, frozen=True):
    """What a hello of any version has."""

    type: Literal["hello"]
    protocol: int


# Both sides decode the whole union: msgspec lets a line without `type` pass where only one type is possible.
_decoder: msgspec.json.Decoder[ServerMessage | ClientMessage] = msgspec.json.Decoder(ServerMessage | ClientMessage)


def encode(message: ServerMessage | ClientMessage) -> bytes:
    """`message` as one JSON line that ends in a newline."""
    return msgspec.json.encode(message) + b"\n"


def without_clock(hello: Hello) -> Hello:
    """What stays the same in a hello that is said again."""
    return msgspec.structs.replace(hello, server_ns=0)


def decode_server(line: bytes) -> ServerMessage:
    """The message in a `line` from a server. Unknown fields are ignored.

    Raises:
        StreamError: the line is no message of a server, or a hello of another protocol version.
    """
    try:
        message = _decode(line, "hello, observation, pong or error")
    except StreamError:
        _check_version(line)
        raise
    if isinstance(message, Auth | Ping):
        raise StreamError(f"{_shown(line)} is not for a server to send; expected hello, observation, pong or error")
    if isinstance(message, Hello):
        _check_version(line)
    return message


def decode_client(line: bytes) -> ClientMessage:
    """The message in a `line` from a client. Unknown fields are ignored.

    Raises:
        StreamError: the line is nothing that a client may send.
    """
    message = _decode(line, "auth or ping")
    if not isinstance(message, Auth | Ping):
        raise StreamError(f"{_shown(line)} is not for a client to send; expected auth or ping")
    return message


def _decode(line: bytes, expected: str) -> ServerMessage | ClientMessage:
    try:
        return _decoder.decode(line)
    except (ValueError, RecursionError) as error:  # RecursionError: thousands of nested brackets in an unknown field
        raise StreamError(
            f"{_shown(line)} is not understood ({error}); expected one JSON object a line, of type {expected}"
        ) from None


def _check_version(line: bytes) -> None:
    try:
        version = msgspec.json.decode(line, type=_Greeting).protocol
    except (ValueError, RecursionError):
        return
    if version != PROTOCOL:
        older = "fkp-edge" if version > PROTOCOL else "fkp-edge on the device"
        raise StreamError(f"the stream speaks protocol version {version} and this client speaks 1; upgrade {older}")


def printable(text: str, *, limit: int = 300) -> str:
    """`text` of a peer, fit for a terminal: shortened, and without control characters."""
    return "".join(c if c.isprintable() else "?" for c in text[:limit]) + ("..." if len(text) > limit else "")


def _shown(line: bytes) -> str:
    return f"{bytes(line[:60])!r}" + ("..." if len(line) > 60 else "")
