"""200 connections of every slow kind on the live page, and how long `/healthz` takes meanwhile.

    python benchmarks/stream_slow.py OUT [--connections 200] [--seconds 5]

Each kind comes once from one address and once from 200, from a process of its own that connects again, ten times a
second at most, where the server ended a connection. A third process asks for `/healthz` again and again, a new
connection each time, from an address that no attacker has, and in turn a bare aiohttp server that nobody attacks: what
that takes is the machine's share. Beside it a WebSocket's reader counts what it misses. Needs fkp-edge[web].
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from hostile_inputs import HANDSHAKE, HELLO, seen
from stream_hostile import beside, said

from fkp_edge.core.keypoints import FKP15
from fkp_edge.stream import ObservationMessage, WebAddress, connect, encode
from fkp_edge.stream.web import PUBLIC, LivePage, PageParts, WebServer

RATE = 30
ASK_S = 0.05
AGAIN_S = 0.1
PROBE = "127.0.1.1"
READER_PAUSE_S = 1.0


def _head(path: str, method: str = "GET", *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


KINDS: dict[str, tuple[bytes, bytes]] = {
    "nothing is sent": (b"", b""),
    "a head, a byte at a time": (b"", _head("/" + "a" * 4000)),
    "half a head": (b"GET / HTTP/1.1\r\nHost: 127.", b""),
    "an unknown path, kept open": (_head("/nope"), b""),
    "OPTIONS, kept open": (_head("/", "OPTIONS"), b""),
    "/live without a handshake, kept open": (_head("/live"), b""),
    "an answer, kept open": (_head("/healthz"), b""),
    "a body, a byte at a time": (_head("/predict", "POST", "Content-Length: 100000"), bytes(100_000)),
    "chunks without an end": (_head("/predict", "POST", "Transfer-Encoding: chunked"), b"1\r\nx\r\n" * 10_000),
    "a body of a terabyte": (_head("/predict", "POST", f"Content-Length: {10**12}"), bytes(100_000)),
    "a page that is not read": (_head("/page.js"), b""),
    "pictures that are not read": (_head("/stream.mjpg"), b""),
    "a WebSocket that is not read": (HANDSHAKE.replace(b"GET / ", b"GET /live "), b""),
    "a WebSocket's frame, a byte at a time": (
        HANDSHAKE.replace(b"GET / ", b"GET /stream "),
        b"\x81\xfe\x03\x00" + bytes(4) + b"x" * 700,
    ),
}
"""What is sent at once, then a byte ten times a second; nothing is read."""


def attack(port: int, kind: str, addresses: int, connections: int, seconds: float) -> dict[str, int]:
    """Holds `connections` of `kind`, from so many addresses."""
    opening, rest = KINDS[kind]
    counts = {"opened": 0, "ended_by_the_server": 0}

    def join(i: int) -> tuple[socket.socket, Iterator[int]]:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.bind((f"127.0.0.{2 + i % addresses}", 0))
        sock.settimeout(1)
        with contextlib.suppress(OSError):
            sock.connect(("127.0.0.1", port))
            sock.sendall(opening)
            counts["opened"] += 1
        sock.setblocking(False)
        return sock, iter(rest)

    held = [join(i) for i in range(connections)]
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for i, (sock, content) in enumerate(held):
            if _is_over(sock, next(content, None)):
                counts["ended_by_the_server"] += 1
                sock.close()
                held[i] = join(i)
        time.sleep(AGAIN_S)
    for sock, _ in held:
        sock.close()
    return counts


def _is_over(sock: socket.socket, byte: int | None) -> bool:
    """Whether the server ended it; looks without taking what waits to be read."""
    try:
        if byte is not None:
            sock.send(bytes([byte]))
        waiting = sock.recv(2**16, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True
    with contextlib.suppress(OSError):  # a FIN behind bytes shows only when these are taken
        if b" 101 " not in waiting[:20] and b" 200 " not in waiting[:20]:
            return sock.recv(2**16) == b"" or sock.recv(1) == b""
    return waiting == b""


def ask(port: int, control: int, seconds: float) -> dict[str, Any]:
    """Asks both servers in turn, again and again: how long each answer took, and how many were none."""
    times: dict[int, list[float]] = {port: [], control: []}
    failed = 0
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for server, taken in times.items():
            begun = time.monotonic()
            is_answered = _is_answered(server)
            taken.append(1000 * (time.monotonic() - begun))
            failed += server == port and not is_answered
        time.sleep(ASK_S)
    return {
        "asked": len(times[port]),
        "failed": failed,
        "healthz": _spread(times[port]),
        "bare": _spread(times[control]),
    }


def _is_answered(port: int) -> bool:
    with socket.socket() as sock, contextlib.suppress(OSError):
        sock.bind((PROBE, 0))
        sock.settimeout(2)
        sock.connect(("127.0.0.1", port))
        sock.sendall(_head("/healthz"))
        return b" 200 " in sock.recv(100)
    return False


def _spread(times_ms: list[float]) -> dict[str, float]:
    p50, p99 = (round(float(value), 1) for value in np.percentile(times_ms, (50, 99)))
    return {"p50_ms": p50, "p99_ms": p99, "worst_ms": round(max(times_ms), 1)}


def read(port: int) -> dict[str, int]:
    """Reads the line protocol until the server closes."""
    print("reading", flush=True)
    messages = connect(f"ws://127.0.0.1:{port}/stream", reconnect=False)
    found = [message.sequence for message in messages if isinstance(message, ObservationMessage)]
    return {"read": len(found), "missed": found[-1] - found[0] + 1 - len(set(found))}


@contextlib.contextmanager
def serving() -> Iterator[int]:
    """A live page with its own limits, at 30 frames a second: its port."""
    page = LivePage(PageParts(lambda: HELLO, FKP15, True, None, lambda _: [], dict, dict))
    grey = np.random.default_rng(1).integers(0, 255, (480, 640), dtype=np.uint8)
    stopping = threading.Event()

    def publish() -> None:
        sequence = 0
        while not stopping.wait(1 / RATE):
            message = seen(sequence := sequence + 1)
            page.publish(message, encode(message), grey)

    publisher = threading.Thread(target=publish)
    with WebServer(WebAddress("127.0.0.1", 0), page.routes(), end=page.close, public=PUBLIC) as server:
        publisher.start()
        yield server.address.port
        stopping.set()
        publisher.join()


@contextlib.contextmanager
def bare() -> Iterator[int]:
    """A bare aiohttp server in a process of its own: its port."""
    command = [sys.executable, str(Path(__file__).with_name("stream_hostile.py")), "--role", "bare"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield int(process.stdout.readline())
        process.communicate()


def play(role: str, arguments: list[str]) -> Any:
    """What another process of this program does."""
    if role == "read":
        return read(int(arguments[0]))
    print("ready", flush=True)
    if role == "ask":
        return ask(int(arguments[0]), int(arguments[1]), float(arguments[2]))
    port, kind, addresses, connections, seconds = arguments
    return attack(int(port), kind, int(addresses), int(connections), float(seconds))


def _beside(role: str, *arguments: object) -> subprocess.Popen[str]:
    return beside(role, *arguments, program=__file__)


def main() -> None:
    if sys.argv[1:2] == ["--role"]:
        print(json.dumps(play(sys.argv[2], sys.argv[3:])))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--connections", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5.0)
    args = parser.parse_args()
    result: dict[str, Any] = {"connections": args.connections, "seconds": args.seconds, "kinds": {}}
    with serving() as port, bare() as control:
        reader = _beside("read", port)
        result["nobody_slow"] = said(_beside("ask", port, control, args.seconds))
        for kind in KINDS:
            for addresses in (1, min(200, args.connections)):
                attacker = _beside("attack", port, kind, addresses, args.connections, args.seconds + 2)
                time.sleep(1)
                asked = said(_beside("ask", port, control, args.seconds))
                found = {"addresses": addresses, **asked, "attacker": said(attacker)}
                result["kinds"].setdefault(kind, []).append(found)
                print(kind, found, file=sys.stderr, flush=True)
    result["reader"] = said(reader)
    runs = [found for runs in result["kinds"].values() for found in runs]
    for server in ("healthz", "bare"):
        result[f"{server}_worst_p99_ms"] = max(run[server]["p99_ms"] for run in runs)
    result["failed"] = sum(run["failed"] for run in runs)
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
