"""MQTT, with Home Assistant's discovery. Needs paho-mqtt: `pip install 'fkp-edge[mqtt]'`.

Below the prefix: `availability` (online, offline), `hello` and `state` (JSON: state, number of faces; when it changes)
are retained, `observation` is the stream, QoS 0. What the broker does not take in time is dropped, not kept.
"""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable
from typing import Any

import msgspec

from fkp_edge.core.files import Closing
from fkp_edge.errors import MissingPartError, StreamError
from fkp_edge.stream.protocol.address import MqttAddress
from fkp_edge.stream.protocol.messages import Hello, ObservationMessage, encode, without_clock
from fkp_edge.stream.server.access import check_reach

try:
    from paho.mqtt.client import Client, MQTTMessageInfo
    from paho.mqtt.enums import CallbackAPIVersion
except ImportError as error:
    raise MissingPartError(
        f"mqtt:// needs paho-mqtt ({error}); pip install 'fkp-edge[mqtt]', or in a clone: pip install -e '.[mqtt]'"
    ) from error

__all__ = ["MqttSender"]

KEEPALIVE_S = 20
FIRST_ANSWER_S = 5.0
LAST_WORD_S = 1.0
MAX_PACKET = 2**16
"""Bytes that a broker may send at once; its acknowledgements have a handful."""
DISCOVERY = "homeassistant"

_log = logging.getLogger(__name__)


class BoundedClient(Client):
    """paho's client, which hangs up on packets longer than any that we expect: it subscribes to nothing."""

    def _sock_recv(self, bufsize: int) -> bytes:
        if bufsize > MAX_PACKET:
            raise ConnectionError(f"the broker announces a packet of {bufsize} bytes; expected at most {MAX_PACKET}")
        return super()._sock_recv(bufsize)


class MqttSender(Closing):
    """A client of a broker; connects again by itself."""

    def __init__(
        self, address: MqttAddress, hello: Callable[[], Hello], *, password: str | None = None, insecure: bool = False
    ) -> None:
        """Connects.

        Raises:
            StreamError: the broker does not answer or refuses, or is beyond loopback without TLS or `insecure`.
        """
        check_reach(address, token=None, insecure=insecure)
        self._address = address
        self._hello = hello
        self._told: Hello | None = None
        self._state: tuple[str, int] | None = None
        self._last: MQTTMessageInfo | None = None
        self._dropped = 0
        self._answered = threading.Event()
        self._refusal = "no answer"
        self._closed = False
        self._client = BoundedClient(CallbackAPIVersion.VERSION2)
        self._client.will_set(self._topic("availability"), "offline", retain=True)
        if address.user:
            self._client.username_pw_set(address.user, password)
        if address.secure:
            self._client.tls_set()
        self._client.reconnect_delay_set(1, 30)
        self._client.on_connect = self._on_connect
        self._connect()

    @property
    def address(self) -> MqttAddress:
        """Of the broker."""
        return self._address

    @property
    def dropped(self) -> int:
        """Observations that the broker did not take in time."""
        return self._dropped

    def publish(self, message: ObservationMessage, line: bytes) -> None:
        """Hands an observation to the client's thread, unless the one before still waits there. From one thread."""
        if not self._client.is_connected():
            self._dropped += 1
            return
        if self._told != (said := without_clock(self._hello())):
            self._told = said
            self._retain("hello", encode(self._hello()).rstrip(b"\n"))
        state = (message.state, len(message.faces))
        if state != self._state:
            self._state = state
            self._retain("state", _state(state))
        if self._last is not None and _is_waiting(self._last):
            self._dropped += 1
            return
        self._last = self._client.publish(self._topic("observation"), line.rstrip(b"\n"))

    def close(self) -> None:
        """Says goodbye. Twice is fine."""
        if self._closed:
            return
        self._closed = True
        if self._client.is_connected():
            farewell = self._client.publish(self._topic("availability"), "offline", retain=True)
            with contextlib.suppress(RuntimeError, ValueError):  # the connection went meanwhile: the broker says it
                farewell.wait_for_publish(LAST_WORD_S)
        self._client.disconnect()
        self._client.loop_stop()

    def __repr__(self) -> str:
        return f"<MqttSender {self._address} {'closed' if self._closed else 'open'}>"

    def _connect(self) -> None:
        try:
            self._client.connect(self._address.host, self._address.port, KEEPALIVE_S)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StreamError(f"cannot connect to {self._address}: {reason}; expected an MQTT broker there") from error
        self._client.loop_start()
        if not (self._answered.wait(FIRST_ANSWER_S) and self._client.is_connected()):
            self.close()
            raise StreamError(
                f"{self._address} does not let this client in ({self._refusal}); "
                "expected mqtt://USER@HOST:PORT/PREFIX, the password in --mqtt-password-file"
            )

    def _on_connect(self, client: Client, data: Any, flags: Any, code: Any, properties: Any) -> None:  # noqa: ARG002 - paho's
        """On paho's thread, at each connection: everything retained is said again."""
        self._refusal = str(code)
        if not code.is_failure:
            _log.info("connected to %s", self._address)
            self._last = None
            self._retain("availability", b"online")
            self._told = without_clock(hello := self._hello())
            self._retain("hello", encode(hello).rstrip(b"\n"))
            if self._state is not None:
                self._retain("state", _state(self._state))
            for topic, config in self._discovery():
                client.publish(topic, msgspec.json.encode(config), retain=True)
        self._answered.set()

    def _retain(self, name: str, payload: bytes) -> None:
        self._client.publish(self._topic(name), payload, retain=True)

    def _topic(self, name: str) -> str:
        return f"{self._address.prefix}/{name}"

    def _discovery(self) -> list[tuple[str, dict[str, Any]]]:
        """Home Assistant's entities: whether a face is there, and the state."""
        name = re.sub(r"\W", "_", self._address.prefix)
        common = {
            "availability_topic": self._topic("availability"),
            "state_topic": self._topic("state"),
            "device": {"identifiers": [name], "name": self._address.prefix, "manufacturer": "fkp-edge"},
        }
        face = {
            "name": "Face",
            "unique_id": f"{name}_face",
            "device_class": "occupancy",
            "value_template": "{{ 'ON' if value_json.faces > 0 else 'OFF' }}",
        }
        state = {"name": "State", "unique_id": f"{name}_state", "value_template": "{{ value_json.state }}"}
        return [
            (f"{DISCOVERY}/binary_sensor/{name}/face/config", common | face),
            (f"{DISCOVERY}/sensor/{name}/state/config", common | state),
        ]


def _is_waiting(info: MQTTMessageInfo) -> bool:
    """Whether a message is still on its way; one that was lost is not."""
    try:
        return not info.is_published()
    except (RuntimeError, ValueError):
        return False


def _state(state: tuple[str, int]) -> bytes:
    return msgspec.json.encode({"state": state[0], "faces": state[1]})
