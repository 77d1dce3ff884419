"""The inputs of `stream_hostile.py`: mangled bytes for every parser and every socket."""

from __future__ import annotations

import random
import socket
import struct
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from fkp_edge.core.keypoints import FKP15
from fkp_edge.core.picture_headers import read_header
from fkp_edge.errors import FkpEdgeError
from fkp_edge.stream import FaceMessage, Hello, ObservationMessage, decode_client, decode_server, encode, parse_address
from fkp_edge.stream.protocol.datagrams import LineBuffer, decode_datagram, encode_datagram
from fkp_edge.stream.protocol.messages import MAX_CLIENT_LINE_BYTES, Auth, Ping
from fkp_edge.stream.recording.recording import read_recording

__all__ = ["HANDSHAKE", "HELLO", "TOKEN", "attack_parsers", "attack_slowly", "attack_sockets", "seen"]

TOKEN = "0123456789abcdef"  # noqa: S105 - of the server under attack
HELLO = Hello(model="m", model_sha256="", points=FKP15.names, frame_size=(640, 480), source="demo", server_ns=1)
FACE = FaceMessage(id=1, score=0.98, box=(1.0, 2.0, 3.0, 4.0), points=((1.5, 2.5),) * 15)
RECORDING = b'{"type":"recording","version":1,"protocol":1,"started":"2026-01-01T00:00:00Z"}\n' + encode(HELLO)
HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
FRAME = b"\x81\x9c\x00\x00\x00\x00" + b'{"type":"ping","client_ns":1}'[:28]


def seen(sequence: int) -> ObservationMessage:
    now = time.monotonic_ns()
    return ObservationMessage(
        sequence=sequence, captured_ns=now, sent_ns=now, state="tracking", dropped=0, faces=(FACE,)
    )


def mangled(random_: random.Random, seed: bytes) -> bytes:
    """`seed` with bytes replaced, doubled, cut or blown up; or bytes at random."""
    if random_.random() < 0.1:
        return random_.randbytes(random_.randrange(200))
    data = bytearray(seed)
    for _ in range(random_.randrange(1, 6)):
        at = random_.randrange(len(data) + 1)
        new = [random_.randbytes(random_.randrange(4)), b'"', b"{", b"[" * 300, b"9" * 400, b"\r\n", b"\xff" * 8, b""]
        data[at : at + random_.randrange(6)] = random_.choice(new)
    return bytes(data[: random_.randrange(len(data) + 1)] if random_.random() < 0.2 else data)


def parsers(folder: Path) -> list[tuple[str, bytes, Callable[[bytes], object]]]:
    """Name, a good input, and what reads it."""
    picture = np.full((40, 50), 90, np.uint8)
    jpeg, png = (cv2.imencode(ending, picture)[1].tobytes() for ending in (".jpg", ".png"))

    def cut(data: bytes) -> None:
        lines = LineBuffer(MAX_CLIENT_LINE_BYTES)
        for i in range(0, len(data), 37):
            lines.feed(data[i : i + 37])
            while lines.next_line():
                pass

    def replay(data: bytes) -> None:
        path = folder / "recording"
        path.write_bytes(data)
        for _ in read_recording(path):
            pass

    return [
        ("decode_client", encode(Ping(client_ns=1)), decode_client),
        ("decode_client", encode(Auth(token=TOKEN)), decode_client),
        ("decode_server", encode(HELLO), decode_server),
        ("decode_server", encode(seen(1)), decode_server),
        ("decode_datagram", encode_datagram(HELLO), decode_datagram),
        ("decode_datagram", encode_datagram(seen(1)), decode_datagram),
        ("LineBuffer", encode(HELLO) * 2, cut),
        ("read_recording", RECORDING + encode(seen(1)), replay),
        ("parse_address", b"mqtt://me@[::1]:1883/a", lambda data: parse_address(data.decode("latin-1"))),
        ("read_header", jpeg, read_header),
        ("read_header", png, read_header),
    ]


def attack_parsers(random_: random.Random, count: int) -> dict[str, dict[str, int]]:
    """Any input gives a result or an error of ours; everything else ends the program."""
    outcomes: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory() as folder:
        targets = parsers(Path(folder))
        for i in range(count):
            name, good, parse = targets[i % len(targets)]
            counts = outcomes.setdefault(name, Counter())
            try:
                parse(mangled(random_, good))
                counts["read"] += 1
            except FkpEdgeError:
                counts["refused"] += 1
    return {name: dict(counts) for name, counts in outcomes.items()}


def places(ports: list[int]) -> list[tuple[int, list[bytes]]]:
    """Ports, 0 for none, and good openings to mangle: two line servers, one with a token, a WebSocket, a page."""
    get = b"GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    post = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 400\r\n\r\n\xff\xd8\xff\xe0" + bytes(396)
    chunked = b"POST /predict HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    live = HANDSHAKE.replace(b"GET / ", b"GET /live ")
    openings = [
        [encode(Ping(client_ns=1)) * 3, b"x" * 3000],
        [encode(Auth(token=TOKEN)), encode(Auth(token=TOKEN[::-1]))],
        [HANDSHAKE + FRAME * 3, HANDSHAKE + b"\x81\xff" + b"\xff" * 8 + bytes(5000)],
        [get, post, chunked, live + FRAME, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n"],
    ]
    return [place for place in zip(ports, openings, strict=True) if place[0]]


def attack_sockets(random_: random.Random, ports: list[int], count: int) -> dict[str, int]:
    outcomes: Counter[str] = Counter()
    targets = places(ports)
    open_still: list[socket.socket] = []
    for i in range(count):
        port, openings = targets[i % len(targets)]
        sock = socket.socket()
        sock.bind((f"127.0.0.{1 + i % 200}", 0))
        sock.settimeout(5)
        try:
            sock.connect(("127.0.0.1", port))
            sock.sendall(mangled(random_, random_.choice(openings)))
            outcomes["sent"] += 1
        except OSError:
            outcomes["cut off while sending"] += 1
        if random_.random() < 0.5:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if random_.random() < 0.05:  # half open for a while
            open_still.append(sock)
        else:
            sock.close()
        if len(open_still) > 30:
            open_still.pop(0).close()
    for sock in open_still:
        sock.close()
    return dict(outcomes)


def attack_slowly(ports: list[int], count: int, seconds: float) -> dict[str, int]:
    """Connections that send a byte now and then: how many the servers ended themselves."""
    socks = []
    for i in range(count):
        port, openings = places(ports)[1 + i % 3]
        sock = socket.socket()
        sock.bind((f"127.0.0.{1 + i % 200}", 0))
        sock.settimeout(5)
        sock.connect(("127.0.0.1", port))
        socks.append((sock, iter(openings[0])))
    end = time.monotonic() + seconds
    ended = set()
    while time.monotonic() < end:
        for sock, content in socks:
            try:
                sock.send(bytes([next(content)]))
            except OSError:
                ended.add(sock)
        time.sleep(0.2)
    for sock, _ in socks:
        sock.close()
    return {"connections": count, "ended_by_the_server": len(ended)}
