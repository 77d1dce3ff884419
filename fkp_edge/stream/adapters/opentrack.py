"""opentrack's "UDP over network" input: six little-endian doubles x, y, z (cm), yaw, pitch, roll (degrees).

Only the pose is known: x, y and z stay 0, since pixels say nothing of centimetres without the camera's focal length.
Nothing is sent while no pose is known; opentrack then keeps its last one.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator

from fkp_edge.stream.protocol.messages import ObservationMessage
from fkp_edge.stream.server.udp import DatagramSender

__all__ = ["OpentrackSender"]

_log = logging.getLogger(__name__)


class OpentrackSender(DatagramSender):
    """Sends the pose of the first face. opentrack counts yaw and roll positive to the right."""

    _said = False

    def datagrams(self, message: ObservationMessage) -> Iterator[bytes]:
        """One, where a face with a pose was seen in this frame."""
        pose = message.faces[0].pose if message.faces else None
        if pose is not None and message.state == "tracking":
            yield struct.pack("<6d", 0.0, 0.0, 0.0, -pose.yaw, pose.pitch, -pose.roll)
        elif pose is None and message.faces and not self._said:
            self._said = True
            _log.warning("%s gets nothing: the faces of this source come without a pose", self.address)
