from __future__ import annotations

import contextlib
import json
import resource
import socket
import threading
import time
from pathlib import Path

import msgspec
import pytest

from fkp_edge.errors import StreamError
from fkp_edge.stream import (
    Hello,
    LineServer,
    ObservationMessage,
    Ping,
    Pong,
    TcpAddress,
    connect,
    decode_server,
    encode,
)

PING = encode(Ping(client_ns=5))


def received(sock: socket.socket) -> list[dict]:
    """All messages until the server closes."""
    with sock.makefile("rb") as file:
        return [json.loads(line) for line in file]


def test_hello_comes_first_then_at_once_the_newest(server, line, hello):
    server.publish(line(1))
    server.publish(line(2))
    with connect(str(server.address)) as client:
        assert next(client) == hello
        assert next(client).sequence == 2


def test_hello_comes_without_any_observation(server, join):
    join()
    assert server.clients == 1


def test_the_hello_is_made_for_each_client(hello):
    clock = [1]

    def greet() -> Hello:
        return msgspec.structs.replace(hello, server_ns=clock[0])

    with LineServer(TcpAddress("127.0.0.1", 0), greet) as server:
        for clock[0] in (1, 2):
            with connect(str(server.address)) as client:
                assert next(client).server_ns == clock[0]


def test_clients_that_read_get_every_line(server, join, line):
    clients = [join() for _ in range(5)]
    for sequence in range(200):
        server.publish(line(sequence))
        assert [next(client).sequence for client in clients] == [sequence] * 5


def test_the_same_line_published_twice_is_sent_twice(server, join, line):
    client = join()
    for _ in range(2):
        server.publish(line(7))
        assert next(client).sequence == 7


def test_lines_published_in_a_burst_end_with_the_newest_and_keep_their_order(server, join, line):
    client = join()
    for sequence in range(1000):
        server.publish(line(sequence))
    seen = [next(client).sequence]
    while seen[-1] != 999:
        seen.append(next(client).sequence)
    assert seen == sorted(set(seen))


def test_threads_may_publish_together(server, join, line):
    client = join()
    threads = [threading.Thread(target=lambda: [server.publish(line(1)) for _ in range(200)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.publish(line(2))
    assert any(message.sequence == 2 for message in client)


@pytest.fixture
def sleeper(server, join, line):
    """A client that slept while 5,000 lines of about 700 bytes were published; a reader got each of them."""
    asleep, reader = join(), join()
    for sequence in range(5000):
        server.publish(line(sequence, faces=2))
        assert next(reader).sequence == sequence
    return asleep


def test_a_client_that_slept_finds_little_that_is_stale_and_the_newest_at_its_end(sleeper):
    size, sequence = 0, -1
    for data in sleeper.lines():
        size, sequence = size + len(data), json.loads(data)["sequence"]
        if sequence == 4999:
            break
    assert 650 < len(data) < 850
    assert size <= 64 * 1024


def test_a_client_that_slept_keeps_up_again(sleeper, server, line):
    assert any(message.sequence == 4999 for message in sleeper)
    server.publish(line(5000))
    assert next(sleeper).sequence == 5000


def test_closing_does_not_wait_for_a_client_that_sleeps(sleeper, server):
    start = time.monotonic()
    server.close()
    assert time.monotonic() - start < 2


def test_a_ping_gets_both_clocks(server, join):
    client = join()
    before = time.monotonic_ns()
    client.ping()
    pong = next(client)
    assert isinstance(pong, Pong)
    assert before <= pong.client_ns <= pong.server_ns <= time.monotonic_ns()


def test_pings_come_back_among_observations(server, join, line):
    client = join()
    server.publish(line(1))
    client.ping()
    assert {type(next(client)), type(next(client))} == {ObservationMessage, Pong}


def test_a_client_that_will_send_no_more_still_reads(server, plug, line):
    sock = plug()
    sock.sendall(PING)
    sock.shutdown(socket.SHUT_WR)
    with sock.makefile("rb") as file:
        assert [json.loads(file.readline())["type"] for _ in range(2)] == ["hello", "pong"]
        server.publish(line(1))
        assert json.loads(file.readline())["sequence"] == 1


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"garbage\n", "b'garbage\\n' is not understood"),
        (b"\n", "expected one JSON object a line, of type auth or ping"),
        (b'{"type":"pong","client_ns":1,"server_ns":1}\n', "is not for a client to send; expected auth or ping"),
        (bytes(range(256)) * 3 + b"\n", "is not understood"),
        (b"x" * 1024, "is too long; expected at most 1024 bytes"),
        (b"x" * 100_000, "is too long; expected at most 1024 bytes"),
        (b"GET / HTTP/1.1\r\nHost: pi\r\n\r\n", "b'GET / HTTP/1.1\\r\\n' is not understood"),
    ],
)
def test_what_is_no_message_gets_an_error_and_the_end(server, plug, eventually, data, text):
    with plug() as sock:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # the server may close before all is sent
            sock.sendall(data)
        messages = received(sock)
    assert [message["type"] for message in messages] == ["hello", "error"]
    assert text in messages[1]["text"]
    eventually(lambda: server.refused == 1)


def test_an_unfinished_line_is_refused(server, plug):
    sock = plug()
    sock.sendall(PING[:-5])
    sock.shutdown(socket.SHUT_WR)
    assert received(sock)[-1]["type"] == "error"


def test_a_refused_client_leaves_its_place(server, plug, eventually):
    with plug() as sock:
        sock.sendall(b"garbage\n")
        received(sock)
    eventually(lambda: server.clients == 0)


def test_garbage_costs_the_others_nothing(server, join, plug, line):
    reader = join()
    for sequence in range(20):
        plug().sendall(b"\x00garbage" * 50)
        server.publish(line(sequence))
        assert next(reader).sequence == sequence


def flood(sock: socket.socket, data: bytes) -> int:
    """Sends until nothing was taken for half a second: the number of bytes taken."""
    sock.settimeout(0.5)
    taken = 0
    with contextlib.suppress(TimeoutError):
        while taken < 1_000_000:
            taken += sock.send(data)
    return taken


def test_a_flood_of_pings_without_reading_is_left_in_the_kernel(server, plug):
    """The server stops reading when its answers are not read: what it took is what both kernels hold."""
    # 1 % of all pings are answered at once; the rest waits in buffers.
    assert flood(plug(), b'{"type":"ping","client_ns":1' + b" " * 900 + b"}\n") < 500_000


def test_a_flood_of_pings_costs_the_others_nothing(server, join, plug, line):
    flooder, reader = plug(), join()
    flooder.setblocking(False)
    for sequence in range(500):
        with contextlib.suppress(BlockingIOError):
            flooder.send(PING * 20)
        server.publish(line(sequence))
        assert next(reader).sequence == sequence


def test_a_client_too_many_is_told_so(open_server):
    server = open_server(max_clients=1)
    with connect(str(server.address)) as first, connect(str(server.address)) as second:
        next(first)
        with pytest.raises(StreamError, match=r"refused this client: 1 clients are connected to tcp://127.0.0.1:\d+"):
            next(second)
        assert (server.clients, server.refused) == (1, 1)


def test_a_place_that_is_left_is_free_again(open_server, eventually, line):
    server = open_server(max_clients=1)
    with connect(str(server.address)) as first:
        next(first)
    eventually(lambda: server.publish(line(1)) or server.clients == 0)  # a write tells who is gone
    with connect(str(server.address)) as second:
        assert isinstance(next(second), Hello)


def test_clients_that_come_and_go_cost_the_others_nothing(server, join, line):
    reader = join()
    for sequence in range(100):
        connect(str(server.address)).close()
        server.publish(line(sequence))
        assert next(reader).sequence == sequence


def test_closing_sends_the_newest_line_then_ends(server, join, line):
    client = join()
    server.publish(line(1))
    server.close()
    assert [message.sequence for message in client] == [1]


def test_closing_twice_is_fine(server):
    server.close()
    server.close()


def test_publishing_after_closing_does_nothing(server, line):
    server.close()
    server.publish(line(1))


def test_closing_ends_the_thread_and_frees_the_port(open_server, hello):
    server = open_server()
    server.close()
    assert not any(thread.name == "fkp-edge-stream" for thread in threading.enumerate())
    LineServer(TcpAddress("127.0.0.1", server.port), lambda: hello).close()


def test_repr_says_open_or_closed(server):
    assert repr(server) == f"<LineServer tcp://127.0.0.1:{server.port} open, 0 clients>"
    server.close()
    assert repr(server) == f"<LineServer tcp://127.0.0.1:{server.port} closed>"


def test_a_port_in_use_names_the_remedy(server, hello):
    with pytest.raises(StreamError) as raised:
        LineServer(server.address, lambda: hello)
    assert str(raised.value) == (
        f"port {server.port} on 127.0.0.1 is in use; stop the program that listens there (another fkp-edge run?) "
        "or name another port with --stream tcp://127.0.0.1:PORT"
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1"])
def test_beyond_loopback_needs_a_token_or_insecure(host, hello):
    with pytest.raises(StreamError, match=r"can be reached from other machines; .* --token-file FILE .* --insecure$"):
        LineServer(TcpAddress(host, 0), lambda: hello)


def test_beyond_loopback_opens_where_it_is_allowed(hello):
    server = LineServer(TcpAddress("0.0.0.0", 0), lambda: hello, insecure=True)
    with server, connect(f"tcp://127.0.0.1:{server.port}") as client:
        assert next(client) == hello


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
def test_ipv6(hello):
    with LineServer(TcpAddress("::1", 0), lambda: hello) as server, connect(str(server.address)) as client:
        assert next(client) == hello


def test_an_address_of_another_machine_is_an_error(hello):
    with pytest.raises(StreamError, match=r"cannot listen on tcp://192.0.2.1:8765: .* expected an address of this"):
        LineServer(TcpAddress("192.0.2.1", 8765), lambda: hello, insecure=True)


class Unprepared(LineServer):
    """A server that cannot be prepared."""

    async def _prepare(self) -> None:
        raise OSError("no room")


def test_what_keeps_a_server_from_serving_is_raised(hello):
    with pytest.raises(OSError, match="no room"):
        Unprepared(TcpAddress("127.0.0.1", 0), lambda: hello)
    assert "fkp-edge-stream" not in [thread.name for thread in threading.enumerate()]


def test_a_client_before_the_first_frame_learns_its_size(hello, line):
    size = [None]
    with (
        LineServer(TcpAddress("127.0.0.1", 0), lambda: msgspec.structs.replace(hello, frame_size=size[0])) as server,
        connect(str(server.address)) as client,
    ):
        assert next(client).frame_size is None
        server.publish(line(1))
        assert next(client).sequence == 1
        size[0] = (640, 480)
        server.publish(line(2))
        assert next(client).frame_size == (640, 480)
        assert next(client).sequence == 2
        server.publish(line(3))
        assert next(client).sequence == 3


def test_a_server_without_a_descriptor_left_accepts_once_it_has_one(server, hello):
    """Not once more only: each failure is followed by another try."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    with socket.socket() as sock:
        sock.settimeout(5)
        highest = max(int(path.name) for path in Path("/proc/self/fd").iterdir())
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, limits[1]))
        try:
            with contextlib.ExitStack() as taken:
                with contextlib.suppress(OSError):
                    while True:
                        taken.enter_context(contextlib.closing(socket.socket()))
                sock.connect(("127.0.0.1", server.port))
                threading.Event().wait(0.1)
                assert server.clients == 0
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
        assert decode_server(sock.makefile("rb").readline()) == hello
    with connect(str(server.address)) as another:
        assert next(another) == hello
