"""Moves a puppet by OSC, in any program that takes it: TouchDesigner, Max, Pure Data, Blender, Unity.

    python examples/puppet_osc.py                              # the bundled demo to 127.0.0.1:9000
    python examples/puppet_osc.py picamera 192.168.1.20:9000   # until Ctrl-C

Messages: /puppet/head yaw pitch roll (degrees), /puppet/place x y z (cm), /puppet/eyes left right (0 shut, 1 open),
/puppet/mouth open wide, /puppet/smile 0 to 1, and /puppet/blink once for each blink. `fkp-edge run --stream osc://`
sends all points, too; this is the place to send what your own puppet wants. Needs `pip install 'fkp-edge[osc]'`.
"""

from __future__ import annotations

import contextlib
import sys

from pythonosc.udp_client import SimpleUDPClient

import fkp_edge as fkp


def main(source: str, host: str, port: int) -> None:
    """Sends the first face of each frame in which one is seen."""
    sent, blinks = 0, 0
    with SimpleUDPClient(host, port) as client, contextlib.suppress(KeyboardInterrupt):
        for result in fkp.track(source, model="keypoints68-int8", measures=True, fast=False):
            if result.state != "tracking":
                continue
            face, measures = result[0], result[0].measures
            client.send_message("/puppet/head", list(face.pose))
            if face.position:
                client.send_message("/puppet/place", list(face.position))
            if measures.eye_open_left is not None:
                client.send_message("/puppet/eyes", [measures.eye_open_left, measures.eye_open_right])
                client.send_message("/puppet/mouth", [measures.mouth_open, measures.mouth_wide])
                client.send_message("/puppet/smile", measures.smile)
            if measures.blinks > blinks:
                client.send_message("/puppet/blink", measures.blinks)
            blinks = measures.blinks
            sent += 1
    print(f"{sent} frames sent to {host}:{port}")


if __name__ == "__main__":
    place = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1:9000"
    host, _, port = place.rpartition(":")
    if not (host and port.isdecimal()):
        sys.exit(f"error: {place!r} is no address; expected HOST:PORT, such as 127.0.0.1:9000")
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "demo", host, int(port))
    except (fkp.FkpEdgeError, OSError) as error:
        sys.exit(f"error: {error}")
