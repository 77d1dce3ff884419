"""Clients as they should not be. Each function is one fault: it connects, does it, and comes back."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from hostile_inputs import mangled

from faults.camera import abort
from fkp_edge.stream import encode
from fkp_edge.stream.protocol.messages import Auth, Ping

__all__ = ["CLIENT_FAULTS", "Door"]

FLOOD = 300
"""Connections at once: more than the stream and the page have places."""


class Door(NamedTuple):
    """Where the service listens."""

    stream: int
    """TCP port of the stream."""
    page: int
    """TCP port of the live page."""
    token: str
    stay_s: float = 40.0
    """How long clients that sleep stay: longer than the 30 s after which they should be ended."""


def _connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=3)


def _enter(door: Door) -> socket.socket:
    """A connection that showed its token."""
    sock = _connect(door.stream)
    sock.sendall(encode(Auth(token=door.token)))
    return sock


def _ask(door: Door, path: str, more: str = "", method: str = "GET") -> socket.socket:
    """A connection to the page that sent its request."""
    sock = _connect(door.page)
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {door.token}\r\n{more}\r\n"
    sock.sendall(head.encode())
    return sock


def _read(sock: socket.socket, count: int) -> bytes:
    data = b""
    with contextlib.suppress(OSError):
        while len(data) < count and (more := sock.recv(count - len(data))):
            data += more
    return data


def vanish(door: Door, rng: random.Random) -> None:
    """Reads a part of a line and leaves."""
    with _enter(door) as sock:
        _read(sock, rng.randrange(1, 3000))


def reset(door: Door, rng: random.Random) -> None:
    """Resets the connection while lines come."""
    sock = _enter(door)
    _read(sock, rng.randrange(1, 3000))
    abort(sock)


def sleep(door: Door, rng: random.Random) -> None:
    """Never reads; sometimes for so long that the server must end it."""
    with _enter(door):
        time.sleep(min(rng.choice((1.0, 3.0, 40.0)), door.stay_s))


def send_garbage(door: Door, rng: random.Random) -> None:
    """Sends mangled lines."""
    with _enter(door) as sock:
        for _ in range(rng.randrange(1, 20)):
            sock.sendall(mangled(rng, encode(Ping(client_ns=1))))


def send_a_huge_line(door: Door, rng: random.Random) -> None:
    """Sends a megabyte without an end of line, before or after its token."""
    with _enter(door) if rng.random() < 0.5 else _connect(door.stream) as sock:
        sock.sendall(b"x" * 2**20)


def open_half(door: Door, rng: random.Random) -> None:
    """Says nothing, or closes its own half, and stays."""
    with _connect(door.stream) as sock:
        if rng.random() < 0.5:
            sock.shutdown(socket.SHUT_WR)
        time.sleep(min(rng.uniform(0.1, 7), door.stay_s))


def flood(door: Door, rng: random.Random) -> None:
    """Takes all places of the stream or of the page for a moment."""
    port, taken = rng.choice((door.stream, door.page)), []
    with contextlib.suppress(OSError):
        for _ in range(FLOOD):
            taken.append(_connect(port))  # noqa: PERF401 - those before a refusal are kept
    time.sleep(rng.uniform(0.2, 1))
    for sock in taken:
        abort(sock) if rng.random() < 0.5 else sock.close()


def show_a_wrong_token(door: Door, rng: random.Random) -> None:
    """Must be told that it is wrong, and shown nothing."""
    with _connect(door.stream) as sock:
        sock.sendall(encode(Auth(token=rng.choice((door.token[::-1], "", "x" * 500)))))
        answer = _read(sock, 100_000)
    if b'"observation"' in answer or b'"hello"' in answer:
        raise AssertionError(f"a client with a wrong token was shown {answer[:80]!r}")


def break_a_websocket(door: Door, rng: random.Random) -> None:
    """Breaks off in its handshake, while messages come, or in a frame of its own."""
    upgrade = (
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
    )
    sock = _ask(door, rng.choice(("/stream", "/live")), upgrade[: rng.choice((30, 200))])
    _read(sock, rng.randrange(1, 4000))
    with contextlib.suppress(OSError):
        sock.sendall(mangled(rng, b"\x81\x9c\x00\x00\x00\x00" + b'{"type":"ping","client_ns":1}'))
    abort(sock) if rng.random() < 0.5 else sock.close()


def break_a_page(door: Door, rng: random.Random) -> None:
    """Leaves in the middle of the page, of its figures or of its picture."""
    path = rng.choice(("/", "/metrics", "/stream.mjpg", "/healthz", "/nowhere"))
    sock = _ask(door, path)
    _read(sock, rng.randrange(1, 60_000))
    abort(sock) if rng.random() < 0.5 else sock.close()


def upload_garbage(door: Door, rng: random.Random) -> None:
    """Sends a photograph that is none, or less of it than it said."""
    body = b"\xff\xd8\xff\xe0" + rng.randbytes(rng.randrange(20_000))
    said = len(body) + rng.choice((0, 0, 5000))
    with _ask(door, "/predict", f"Content-Length: {said}\r\n", "POST") as sock:
        sock.sendall(body)
        if said == len(body):
            _read(sock, 2000)


CLIENT_FAULTS: dict[str, Callable[[Door, random.Random], None]] = {
    f"client: {name.__name__.replace('_', ' ')}": name
    for name in (
        vanish,
        reset,
        sleep,
        send_garbage,
        send_a_huge_line,
        open_half,
        flood,
        show_a_wrong_token,
        break_a_websocket,
        break_a_page,
        upload_garbage,
    )
}
