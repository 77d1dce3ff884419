"""Open Sound Control, for TouchDesigner, Max, Pure Data and the like. Needs python-osc: `pip install 'fkp-edge[osc]'`.

One bundle a frame: `/fkp/frame` sequence, width, height; `/fkp/state` name; `/fkp/faces` how many; then of each face,
N from 0, `/fkp/face/N` id, score; `/fkp/face/N/box` x, y, width, height; `/fkp/face/N/points` x0, y0, x1, ...;
`/fkp/face/N/pose` yaw, pitch, roll where it is known. Coordinates are frame pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fkp_edge.errors import MissingPartError
from fkp_edge.stream.protocol.address import UdpAddress
from fkp_edge.stream.protocol.messages import FaceMessage, Hello, ObservationMessage
from fkp_edge.stream.server.udp import DatagramSender

try:
    from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
    from pythonosc.osc_message import OscMessage
    from pythonosc.osc_message_builder import OscMessageBuilder
except ImportError as error:
    raise MissingPartError(
        f"osc:// needs python-osc ({error}); pip install 'fkp-edge[osc]', or in a clone: pip install -e '.[osc]'"
    ) from error

__all__ = ["OscSender"]


class OscSender(DatagramSender):
    """Sends one bundle a frame."""

    def __init__(self, address: UdpAddress, hello: Callable[[], Hello], *, insecure: bool = False) -> None:
        super().__init__(address, insecure=insecure)
        self._hello = hello

    def datagrams(self, message: ObservationMessage) -> Iterator[bytes]:
        """One bundle."""
        bundle = OscBundleBuilder(IMMEDIATELY)
        width, height = self._hello().frame_size or (0, 0)
        bundle.add_content(_message("/fkp/frame", message.sequence % 2**31, width, height))
        bundle.add_content(_message("/fkp/state", message.state))
        bundle.add_content(_message("/fkp/faces", len(message.faces)))
        for i, face in enumerate(message.faces):
            for part in _face(f"/fkp/face/{i}", face):
                bundle.add_content(part)
        yield bundle.build().dgram


def _face(place: str, face: FaceMessage) -> Iterator[OscMessage]:
    yield _message(place, face.id % 2**31, float(face.score))
    yield _message(f"{place}/box", *map(float, face.box))
    yield _message(f"{place}/points", *(float(value) for point in face.points for value in point))
    if face.pose is not None:
        yield _message(f"{place}/pose", float(face.pose.yaw), float(face.pose.pitch), float(face.pose.roll))


def _message(address: str, *values: int | float | str) -> OscMessage:
    builder = OscMessageBuilder(address)
    for value in values:
        builder.add_arg(value)
    return builder.build()
