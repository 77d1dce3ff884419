from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from fkp_edge.stream import (
    Connection,
    FaceMessage,
    Hello,
    LineServer,
    ObservationMessage,
    TcpAddress,
    connect,
    encode,
)

NAMES = ("left_eye_center", "right_eye_center", "nose_tip", *(f"point_{i}" for i in range(3, 15)))


@pytest.fixture
def hello() -> Hello:
    return Hello(
        model="fkp15-int8", model_sha256="ab" * 32, points=NAMES, frame_size=(640, 480), source="demo", server_ns=7
    )


@pytest.fixture
def observe() -> Callable[..., ObservationMessage]:
    """Builds observations; one with `faces=3` makes a line of about 1,000 bytes."""

    def build(sequence: int, *, faces: int = 1, state: str = "tracking", sent_ns: int = 2) -> ObservationMessage:
        face = FaceMessage(id=1, score=0.987, box=(1.5, 2.5, 200.25, 200.25), points=((123.45, 234.56),) * 15)
        return ObservationMessage(
            sequence=sequence, captured_ns=1, sent_ns=sent_ns, state=state, dropped=0, faces=(face,) * faces
        )

    return build


@pytest.fixture
def line(observe) -> Callable[..., bytes]:
    """Builds the lines of observations."""
    return lambda sequence, **fields: encode(observe(sequence, **fields))


@pytest.fixture
def open_server(hello) -> Iterator[Callable[..., LineServer]]:
    """Opens servers on free ports, closed after the test."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(LineServer(TcpAddress("127.0.0.1", 0), lambda: hello, **options))


@pytest.fixture
def server(open_server) -> LineServer:
    return open_server()


@pytest.fixture
def join(server) -> Iterator[Callable[[], Connection]]:
    """Connects clients to `server`, past their hello, closed after the test."""
    with contextlib.ExitStack() as stack:

        def build() -> Connection:
            connection = stack.enter_context(connect(str(server.address), reconnect=False))
            assert isinstance(next(connection), Hello)
            return connection

        yield build


@pytest.fixture
def plug(server) -> Iterator[Callable[..., socket.socket]]:
    """Connects bare sockets to `server`; small buffers, so that a flood fills them soon."""
    with contextlib.ExitStack() as stack:

        def build() -> socket.socket:
            sock = stack.enter_context(socket.socket())
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
                sock.setsockopt(socket.SOL_SOCKET, option, 4096)
            sock.settimeout(5)
            sock.connect(("127.0.0.1", server.port))
            return sock

        yield build


@pytest.fixture
def peer() -> Iterator[Callable[..., Connection]]:
    """Connects to a server that sends some bytes, then closes unless told to stay silent."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]

        def build(data: bytes, *, close: bool = True, timeout_s: float = 5.0) -> Connection:
            connection = stack.enter_context(connect(f"tcp://127.0.0.1:{port}", timeout_s=timeout_s, reconnect=False))
            accepted = stack.enter_context(listener.accept()[0])
            accepted.recv(4096)  # unread, closing would reset the connection
            accepted.sendall(data)
            if close:
                accepted.close()
            return connection

        yield build


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    """Waits for what another thread is about to make true."""

    def wait(condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 5
        while not condition():
            assert time.monotonic() < deadline, "not within 5 s"
            time.sleep(0.001)

    return wait
