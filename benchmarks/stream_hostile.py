"""100,000 hostile inputs on every parser and live socket: no crash, no leak, no effect on others.

    python benchmarks/stream_hostile.py OUT [--inputs 100000] [--seed 1]

Seven tenths go to the parsers, the rest over sockets to a TCP server with and one without a token, to a WebSocket
server and to a live page, from 200 loopback addresses, half of them ended by a reset. Then 300 connections send a byte
now and then, and never a whole request. All the while a client of each server, in a third process, reads 30
observations a second and should get each. Needs fkp-edge[web].
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fkp_edge.errors import FkpEdgeError
from fkp_edge.keypoints import FKP15
from fkp_edge.stream import (
    FaceMessage,
    Hello,
    LineServer,
    ObservationMessage,
    TcpAddress,
    WebAddress,
    connect,
    decode_client,
    decode_server,
    encode,
    parse_address,
)
from fkp_edge.stream.datagrams import decode_datagram, encode_datagram
from fkp_edge.stream.line_client import Limits
from fkp_edge.stream.lines import LineBuffer
from fkp_edge.stream.messages import MAX_CLIENT_LINE_BYTES, Auth, Ping
from fkp_edge.stream.recording import read_recording
from fkp_edge.stream.web import PUBLIC, LineSockets, LivePage, PageParts, WebServer
from fkp_edge.stream.web.server import WebLimits
from fkp_edge.stream.web.uploads import find_faces

TOKEN = "0123456789abcdef"  # noqa: S105 - of the server under attack
RATE = 30
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
        ("find_faces", jpeg, lambda data: find_faces(data, lambda _: [])),
        ("find_faces", png, lambda data: find_faces(data, lambda _: [])),
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


class Servers:
    """The servers under attack, and what they publish meanwhile."""

    def __init__(self) -> None:
        self._opened = contextlib.ExitStack()
        enter = self._opened.enter_context
        limits = Limits(auth_s=2.0)
        web = WebLimits(clients=64, request_s=2.0)
        plain = enter(LineServer(TcpAddress("127.0.0.1", 0), lambda: HELLO))
        guarded = enter(LineServer(TcpAddress("127.0.0.1", 0), lambda: HELLO, token=TOKEN, limits=limits))
        sockets = LineSockets(lambda: HELLO)
        page = LivePage(PageParts(lambda: HELLO, FKP15, False, None, lambda _: [], dict, dict))
        stream = enter(WebServer(WebAddress("127.0.0.1", 0), sockets.routes("/"), end=sockets.close, limits=web))
        pages = enter(WebServer(WebAddress("127.0.0.1", 0), page.routes(), end=page.close, public=PUBLIC, limits=web))

        def publish(message: ObservationMessage) -> None:
            line = encode(message)
            for server in (plain, guarded, sockets):
                server.publish(line)
            page.publish(message, line, None)

        self.ports = [plain.port, guarded.port, stream.address.port, pages.address.port]
        self._stopping = threading.Event()
        self._publisher = threading.Thread(target=self._run, args=(publish,))
        self._publisher.start()

    def close(self) -> None:
        self._stopping.set()
        self._publisher.join()
        self._opened.close()

    def _run(self, publish: Callable[[ObservationMessage], None]) -> None:
        for sequence in range(2**31):
            if self._stopping.wait(1 / RATE):
                return
            publish(seen(sequence))


def read_all(ports: list[int]) -> dict[str, dict[str, int]]:
    """Reads every server until they close: what each client got, and missed."""
    plain, guarded, stream, page = ports
    urls = {
        f"tcp://127.0.0.1:{plain}": None,
        f"tcp://127.0.0.1:{guarded}": TOKEN,
        f"ws://127.0.0.1:{stream}": None,
        f"ws://127.0.0.1:{page}/stream": None,
    }
    results: dict[str, dict[str, int]] = {}

    def follow(name: str, url: str, token: str | None) -> None:
        sequences = [
            m.sequence for m in connect(url, token=token, reconnect=False) if isinstance(m, ObservationMessage)
        ]
        expected = sequences[-1] - sequences[0] + 1
        results[name] = {"read": len(sequences), "missed": expected - len(set(sequences))}

    names = ("TCP", "TCP with token", "WebSocket", "page")
    threads = [threading.Thread(target=follow, args=(n, *u)) for n, u in zip(names, urls.items(), strict=True)]
    for thread in threads:
        thread.start()
    print("reading", flush=True)
    for thread in threads:
        thread.join()
    return results


def beside(role: str, *arguments: object) -> subprocess.Popen[str]:
    """This program in another role and process; has said that it is ready."""
    command = [sys.executable, __file__, "--role", role, *map(str, arguments)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def said(process: subprocess.Popen[str]) -> Any:
    return json.loads(process.communicate()[0])


def places(ports: list[int]) -> list[tuple[int, list[bytes]]]:
    """Ports, and good openings to mangle."""
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
    return list(zip(ports, openings, strict=True))


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


def footprint() -> dict[str, Any]:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return {
        "resident_mb": round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1),
        "descriptors": len(list(Path("/proc/self/fd").iterdir())),
        "threads": threading.active_count(),
    }


def play(role: str, arguments: list[str]) -> Any:
    """What another process of this program does."""
    if role == "read":
        return read_all([int(port) for port in arguments])
    print("ready", flush=True)
    seed, count, *ports = (int(argument) for argument in arguments)
    if role == "attack":
        return attack_sockets(random.Random(seed), ports, count)  # noqa: S311 - a fuzzer
    return attack_slowly(ports, count, 8)


def main() -> None:
    if sys.argv[1:2] == ["--role"]:
        print(json.dumps(play(sys.argv[2], sys.argv[3:])))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    over_sockets = args.inputs * 3 // 10
    result: dict[str, Any] = {"inputs": args.inputs, "seed": args.seed}
    result["parsers"] = attack_parsers(random.Random(args.seed), args.inputs - over_sockets)  # noqa: S311 - a fuzzer
    print("parsers done", file=sys.stderr, flush=True)
    servers = Servers()
    first = over_sockets // 10
    said(beside("attack", args.seed, first, *servers.ports))  # what is loaded and kept once is loaded
    readers = beside("read", *servers.ports)
    time.sleep(4)
    result["before"] = footprint()
    result["sockets"] = said(beside("attack", args.seed + 1, over_sockets - first, *servers.ports))
    print("sockets done", file=sys.stderr, flush=True)
    result["slow"] = said(beside("slow", args.seed, 300, *servers.ports))
    time.sleep(4)
    result["after"] = footprint()
    servers.close()
    result["readers"] = said(readers)
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
