"""Against a real broker, mosquitto."""

from __future__ import annotations

import contextlib
import json
import queue
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator

import msgspec
import pytest

paho = pytest.importorskip("paho.mqtt.client", reason="needs fkp-edge[mqtt]")
from paho.mqtt.enums import CallbackAPIVersion

from fkp_edge.errors import StreamError
from fkp_edge.stream import encode
from fkp_edge.stream.adapters.mqtt import MqttSender
from fkp_edge.stream.protocol.address import MqttAddress, parse_address

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
needs_broker = pytest.mark.skipif(MOSQUITTO is None, reason="no broker; apt-get install mosquitto")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        return holder.getsockname()[1]


@contextlib.contextmanager
def broker(folder, port: int, settings: str = "allow_anonymous true\n") -> Iterator[None]:
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\n{settings}")
    with subprocess.Popen([MOSQUITTO, "-c", config], stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                break
        try:
            yield
        finally:
            process.terminate()


@pytest.fixture
def address(tmp_path) -> Iterator[MqttAddress]:
    port = free_port()
    with broker(tmp_path, port):
        yield MqttAddress("127.0.0.1", port, "home/door")


@contextlib.contextmanager
def subscribed(address: MqttAddress) -> Iterator[queue.Queue]:
    """Messages of all topics: (topic, payload, retained)."""
    found: queue.Queue = queue.Queue()
    ready = queue.Queue()
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.on_message = lambda _c, _d, m: found.put((m.topic, m.payload, m.retain))
    client.on_subscribe = lambda *_: ready.put(True)
    client.on_connect = lambda *_: client.subscribe("#")
    client.connect(address.host, address.port)
    client.loop_start()
    try:
        assert ready.get(timeout=30)
        yield found
    finally:
        client.disconnect()
        client.loop_stop()


def until(found: queue.Queue, topic: str) -> bytes:
    while True:
        name, payload, _ = found.get(timeout=30)
        if name == topic:
            return payload


@needs_broker
def test_observations_are_the_stream_and_the_state_is_kept(address, hello, observe):
    with subscribed(address) as found, MqttSender(address, lambda: hello) as sender:
        assert until(found, "home/door/availability") == b"online"
        message = observe(1, faces=2)
        sender.publish(message, encode(message))
        assert json.loads(until(found, "home/door/state")) == {"state": "tracking", "faces": 2}
        assert until(found, "home/door/observation") + b"\n" == encode(message)
        sender.close()
        sender.close()
        assert until(found, "home/door/availability") == b"offline"
    with subscribed(address) as late:
        kept = {}
        with contextlib.suppress(queue.Empty):
            while True:
                topic, payload, retained = late.get(timeout=0.5)
                assert retained
                kept[topic.rsplit("/", 1)[-1]] = payload
    assert json.loads(kept["hello"])["points"] == list(hello.points)
    assert (kept["availability"], json.loads(kept["state"])["faces"]) == (b"offline", 2)
    assert "observation" not in kept


@needs_broker
def test_home_assistant_finds_it(address, hello):
    with subscribed(address) as found, MqttSender(address, lambda: hello):
        config = json.loads(until(found, "homeassistant/binary_sensor/home_door/face/config"))
        assert (config["state_topic"], config["availability_topic"]) == ("home/door/state", "home/door/availability")
        assert config["unique_id"] == "home_door_face"
        assert json.loads(until(found, "homeassistant/sensor/home_door/state/config"))["name"] == "State"


@needs_broker
def test_a_broker_that_comes_back_is_told_everything_again(tmp_path, hello, observe, eventually):
    port = free_port()
    address = MqttAddress("127.0.0.1", port, "p")
    message = observe(1)
    with contextlib.ExitStack() as stack:
        with broker(tmp_path, port):
            sender = stack.enter_context(MqttSender(address, lambda: hello))
            sender.publish(message, encode(message))
        for _ in range(100):
            sender.publish(message, encode(message))
        with broker(tmp_path, port), subscribed(address) as found:
            assert until(found, "p/availability") == b"online"
            assert json.loads(until(found, "p/state"))["state"] == "tracking"
            sender.publish(message, encode(message))
            assert until(found, "p/observation")


@needs_broker
def test_a_password_is_asked_for_and_taken(tmp_path, hello):
    (tmp_path / "users").write_text("pi:secret\n")
    subprocess.run(["mosquitto_passwd", "-U", tmp_path / "users"], check=True)
    port = free_port()
    settings = f"allow_anonymous false\npassword_file {tmp_path / 'users'}\nuser root\n"
    with broker(tmp_path, port, settings):
        address = parse_address(f"mqtt://pi@127.0.0.1:{port}/p")
        with MqttSender(address, lambda: hello, password="secret") as sender:
            assert repr(sender) == f"<MqttSender {address} open>"
        with pytest.raises(StreamError, match=r"does not let this client in \(.*\); expected mqtt://USER@HOST"):
            MqttSender(address, lambda: hello, password="wrong")


def test_nothing_listens(hello):
    address = MqttAddress("127.0.0.1", free_port())
    with pytest.raises(StreamError, match=r"cannot connect to mqtt://.* refused; expected an MQTT broker there"):
        MqttSender(address, lambda: hello)


def test_beyond_loopback_needs_tls_or_insecure(hello):
    with pytest.raises(StreamError, match=r"sends faces over the network in the clear; say mqtts:// for TLS"):
        MqttSender(MqttAddress("192.0.2.1", 1883), lambda: hello)


def hostile_broker(listener: socket.socket) -> None:
    """Lets a client in, then announces a packet of 268 MB and sends as much of it as it takes."""
    peer, _ = listener.accept()
    with peer, contextlib.suppress(OSError):
        peer.recv(1000)
        peer.sendall(b"\x20\x02\x00\x00")
        peer.sendall(b"\x30\xff\xff\xff\x7f")
        for _ in range(100):
            peer.sendall(bytes(2**20))


def test_a_packet_larger_than_any_we_expect_ends_the_connection(hello):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        broken = threading.Thread(target=hostile_broker, args=(listener,))
        broken.start()
        with (
            contextlib.suppress(StreamError),
            MqttSender(MqttAddress("127.0.0.1", listener.getsockname()[1], "a"), lambda: hello),
        ):
            broken.join(30)  # its sending fails: we hung up
        assert not broken.is_alive()


@needs_broker
def test_the_retained_hello_learns_the_size_of_the_first_frame(address, hello, observe):
    size = [None]
    with (
        subscribed(address) as found,
        MqttSender(address, lambda: msgspec.structs.replace(hello, frame_size=size[0])) as sender,
    ):
        assert json.loads(until(found, f"{address.prefix}/hello"))["frame_size"] is None
        size[0] = (640, 480)
        sender.publish(observe(1), encode(observe(1)))
        assert json.loads(until(found, f"{address.prefix}/hello"))["frame_size"] == [640, 480]
