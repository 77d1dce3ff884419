"""Tells Home Assistant, through MQTT, whether somebody sits before the camera: no picture leaves the Pi.

    python examples/presence_mqtt.py                           # the bundled demo, a broker on this machine
    python examples/presence_mqtt.py picamera broker:1883      # until Ctrl-C

Home Assistant finds the sensor "Somebody" by itself. It turns off when nobody was seen for a while, not in every frame
without a face. `fkp-edge run --stream mqtt://` sends the whole stream. Needs `pip install 'fkp-edge[mqtt]'`.
"""

from __future__ import annotations

import contextlib
import json
import sys

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

import fkp_edge as fkp

TOPIC = "fkp-edge/somebody"
AWAY_S = 5.0
"""Without a face for so long nobody is there any more."""
SENSOR = {
    "name": "Somebody",
    "unique_id": "fkp_edge_somebody",
    "device_class": "occupancy",
    "state_topic": TOPIC,
    "availability_topic": f"{TOPIC}/available",
}


def main(source: str, host: str, port: int) -> None:
    """Publishes each change, retained, until the source ends."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.will_set(f"{TOPIC}/available", "offline", retain=True)
    client.connect(host, port)
    client.loop_start()
    client.publish("homeassistant/binary_sensor/fkp_edge_somebody/config", json.dumps(SENSOR), retain=True)
    client.publish(f"{TOPIC}/available", "online", retain=True)
    seen_s, told = None, None
    with contextlib.suppress(KeyboardInterrupt):
        for result in fkp.track(source):
            seen_s = result.time_s if len(result) else seen_s
            somebody = seen_s is not None and result.time_s - seen_s < AWAY_S
            if somebody != told:
                told = somebody
                client.publish(TOPIC, "ON" if somebody else "OFF", retain=True).wait_for_publish(5)
                print(f"{result.time_s:.1f} s: {'somebody' if somebody else 'nobody'}", flush=True)
    client.publish(f"{TOPIC}/available", "offline", retain=True).wait_for_publish(5)
    client.disconnect()


if __name__ == "__main__":
    host, _, port = (sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1:1883").rpartition(":")
    try:
        main(sys.argv[1] if len(sys.argv) > 1 else "demo", host, int(port))
    except (fkp.FkpEdgeError, OSError, ValueError) as error:
        sys.exit(f"error: {error}; expected SOURCE HOST:PORT of a broker")
