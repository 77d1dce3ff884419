"""Open Sound Control, for TouchDesigner, Max, Pure Data and the like. Needs python-osc: `pip install 'fkp-edge[osc]'`.

One bundle a frame: `/fkp/frame` sequence, width, height; `/fkp/state` name; `/fkp/faces` how many; then of each face,
N from 0, `/fkp/face/N` id, score; `/fkp/face/N/box` x, y, width, height; `/fkp/face/N/points` x0, y0, x1, ...;
`/fkp/face/N/pose` yaw, pitch, roll where it is known; with `--measures` `/fkp/face/N/smile` and the other measures that
are known, and `/fkp/face/N/position` x, y, z in cm. Coordinates are frame pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from fkp_edge.errors import MissingPartError
from fkp_edge.stream.protocol.address import UdpAddress
from fkp_edge.stream.protocol.messages import FaceMessage, Hello, Measures, ObservationMessage
from fkp_edge.stream.server.line_server import DatagramSender

try:
    from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
    from pythonosc.osc_message import OscMessage
    from pythonosc.osc_message_builder import OscMessageBuilder
except ImportError as error:
    raise MissingPartError(
        f"osc:// and vmc:// need python-osc ({error}); pip install 'fkp-edge[osc]', "
        "or in a clone: pip install -e '.[osc]'"
    ) from error

__all__ = ["OscSender", "osc_bundle", "osc_message"]


class OscSender(DatagramSender):
    """Sends one bundle a frame."""

    def __init__(self, address: UdpAddress, hello: Callable[[], Hello], *, insecure: bool = False) -> None:
        super().__init__(address, insecure=insecure)
        self._hello = hello

    def datagrams(self, message: ObservationMessage) -> Iterator[bytes]:
        """One bundle."""
        width, height = self._hello().frame_size or (0, 0)
        parts = [
            osc_message("/fkp/frame", message.sequence % 2**31, width, height),
            osc_message("/fkp/state", message.state),
            osc_message("/fkp/faces", len(message.faces)),
        ]
        for i, face in enumerate(message.faces):
            parts += _face(f"/fkp/face/{i}", face)
        yield osc_bundle(parts)


def _face(place: str, face: FaceMessage) -> Iterator[OscMessage]:
    yield osc_message(place, face.id % 2**31, float(face.score))
    yield osc_message(f"{place}/box", *map(float, face.box))
    yield osc_message(f"{place}/points", *(float(value) for point in face.points for value in point))
    if face.pose is not None:
        yield osc_message(f"{place}/pose", float(face.pose.yaw), float(face.pose.pitch), float(face.pose.roll))
    if face.measures is not None:
        for name in Measures.__struct_fields__[:-1]:
            if (value := getattr(face.measures, name)) is not None:
                yield osc_message(f"{place}/{name}", value % 2**31 if name == "blinks" else float(value))
    if face.position is not None:
        yield osc_message(f"{place}/position", *map(float, (face.position.x, face.position.y, face.position.z)))


def osc_bundle(parts: Iterable[OscMessage]) -> bytes:
    """A datagram with `parts`, to be taken at once."""
    bundle = OscBundleBuilder(IMMEDIATELY)
    for part in parts:
        bundle.add_content(part)
    return bundle.build().dgram


def osc_message(address: str, *values: int | float | str) -> OscMessage:
    """A message; integers, floats and texts of Python are OSC's of 32 bits."""
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    return builder.build()
