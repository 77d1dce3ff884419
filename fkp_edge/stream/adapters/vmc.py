"""Virtual Motion Capture protocol (VMC), for VSeeFace and other avatars. Needs python-osc: `fkp-edge[osc]`.

One bundle a frame, as docs/english.markdown of sh-akira/VirtualMotionCaptureProtocol (083e33f950c0) has it:
`/VMC/Ext/OK`, `/VMC/Ext/T`, `/VMC/Ext/Bone/Pos` of the bone `Head`, a `/VMC/Ext/Blend/Val` for each blendshape that is
known, by its VRM 0 name, and `/VMC/Ext/Blend/Apply`. Rotations are Unity's: left-handed, y up, z ahead.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from fkp_edge.stream.adapters.heads import HeadSender, clamped
from fkp_edge.stream.adapters.osc import osc_bundle, osc_message
from fkp_edge.stream.protocol.address import UdpAddress
from fkp_edge.stream.protocol.messages import Measures, ObservationMessage, Pose

__all__ = ["VmcSender"]

OPEN, SHUT = 0.85, 0.4
"""Openness of an eye from which it counts as open, and as shut: networks report shut eyes as half open."""
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
        if openness is not None:
            yield name, clamped((OPEN - openness) / (OPEN - SHUT), 0.0, 1.0)
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
