"""opentrack's "UDP over network" input: six little-endian doubles x, y, z (cm), yaw, pitch, roll (degrees).

Only the pose is known: x, y and z stay 0, since pixels say nothing of centimetres without the camera's focal length.
Nothing is sent while no pose is known; opentrack then keeps its last one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from fkp_edge.stream.messages import ObservationMessage
from fkp_edge.stream.udp import DatagramSender

__all__ = ["OpentrackSender"]


class OpentrackSender(DatagramSender):
    """Sends the pose of the first face. opentrack counts yaw and roll positive to the right."""

    def datagrams(self, message: ObservationMessage) -> Iterator[bytes]:
        """One, where a face with a pose was seen in this frame."""
        pose = message.faces[0].pose if message.faces else None
        if pose is not None and message.state == "tracking":
            yield struct.pack("<6d", 0.0, 0.0, 0.0, -pose.yaw, pose.pitch, -pose.roll)
