"""Open Sound Control, for TouchDesigner, Max, Pure Data and the like. Needs python-osc: `pip install 'fkp-edge[osc]'`.

One bundle a frame: `/fkp/frame` sequence, width, height; `/fkp/state` name; `/fkp/faces` how many; then of each face,
N from 0, `/fkp/face/N` id, score; `/fkp/face/N/box` x, y, width, height; `/fkp/face/N/points` x0, y0, x1, ...;
`/fkp/face/N/pose` yaw, pitch, roll where it is known; with `--measures` `/fkp/face/N/smile` and the other measures that
are known, and `/fkp/face/N/position` x, y, z in cm. Coordinates are frame pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

from fkp_edge.errors import MissingPartError
from fkp_edge.stream.adapters.heads import HeadSender, clamped, lid_shut
from fkp_edge.stream.protocol.address import UdpAddress
from fkp_edge.stream.protocol.messages import FaceMessage, Hello, Measures, ObservationMessage, Pose
from fkp_edge.stream.server.line_server import DatagramSender

__all__ = ["OscSender", "VmcSender", "osc_bundle", "osc_message"]

try:
    from pythonosc.osc_bundle_builder import IMMEDIATELY, OscBundleBuilder
    from pythonosc.osc_message import OscMessage
    from pythonosc.osc_message_builder import OscMessageBuilder
except ImportError as error:
    raise MissingPartError(
        f"osc:// and vmc:// need python-osc ({error}); pip install 'fkp-edge[osc]', "
        "or in a clone: pip install -e '.[osc]'"
    ) from error


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


WIDE_OPEN = 0.5
"""Of a mouth whose `A` is 1."""


class VmcSender(HeadSender):
    """Sends the first face. What is not measured is not sent: receivers keep their own."""

    def __init__(self, address: UdpAddress, *, insecure: bool = False) -> None:
        super().__init__(address, insecure=insecure)
        self._begun_ns: int | None = None

    def datagrams(self, message: ObservationMessage) -> Iterator[bytes]:
        """One bundle, where a face with a pose was seen in this frame."""
        for face, pose in self.heads(message)[:1]:
            if self._begun_ns is None:
                self._begun_ns = message.captured_ns
            parts = [
                osc_message("/VMC/Ext/OK", 1),
                osc_message("/VMC/Ext/T", (message.captured_ns - self._begun_ns) / 1e9),
                osc_message("/VMC/Ext/Bone/Pos", "Head", 0.0, 0.0, 0.0, *_unity(pose)),
            ]
            shapes = [] if face.measures is None else list(_blendshapes(face.measures))
            parts += [osc_message("/VMC/Ext/Blend/Val", name, value) for name, value in shapes]
            yield osc_bundle([*parts, osc_message("/VMC/Ext/Blend/Apply")] if shapes else parts)


def _blendshapes(found: Measures) -> Iterator[tuple[str, float]]:
    for name, openness in (("Blink_L", found.eye_open_left), ("Blink_R", found.eye_open_right)):
        if (shut := lid_shut(openness)) is not None:
            yield name, shut
    if found.mouth_open is not None:
        yield "A", clamped(found.mouth_open / WIDE_OPEN, 0.0, 1.0)
    if found.smile is not None:
        yield "Joy", found.smile


def _unity(pose: Pose) -> tuple[float, float, float, float]:
    """The quaternion x, y, z, w: yaw to the left, pitch up and roll to the left turn about -y, -x and z."""
    x, y, z = (math.radians(angle) / 2 for angle in (-pose.pitch, -pose.yaw, pose.roll))
    (cx, sx), (cy, sy), (cz, sz) = ((math.cos(half), math.sin(half)) for half in (x, y, z))
    return (
        cy * sx * cz + sy * cx * sz,
        sy * cx * cz - cy * sx * sz,
        cy * cx * sz - sy * sx * cz,
        cy * cx * cz + sy * sx * sz,
    )
