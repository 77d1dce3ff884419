"""opentrack's "UDP over network" input: six little-endian doubles x, y, z (cm), yaw, pitch, roll (degrees).

opentrack's tracker-udp/ftnoir_tracker_udp.cpp (0888be6331e0) reads them and gives them no axes; they are those of its
own camera tracker (tracker-neuralnet/ftnoir_tracker_neuralnet.cpp, 0420cbdfb7dd): x right in the picture, y up, z away
from the camera. x, y and z are 0 where the place is not known. Nothing is sent while no pose is known: opentrack then
keeps its last one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from fkp_edge.stream.adapters.heads import HeadSender
from fkp_edge.stream.protocol.messages import ObservationMessage

__all__ = ["OpentrackSender"]


class OpentrackSender(HeadSender):
    """Sends the first face's place and pose. opentrack counts yaw and roll positive to the right."""

    def datagrams(self, message: ObservationMessage) -> Iterator[bytes]:
        """One, where a face with a pose was seen in this frame."""
        for face, pose in self.heads(message)[:1]:
            place = face.position
            x, y, z = (0.0, 0.0, 0.0) if place is None else (place.x, -place.y, place.z)
            yield struct.pack("<6d", x, y, z, -pose.yaw, pose.pitch, -pose.roll)
