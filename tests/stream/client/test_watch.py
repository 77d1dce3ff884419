from __future__ import annotations

import io
import socket
import threading
import time

import msgspec
import pytest

from fkp_edge.errors import StreamError
from fkp_edge.stream import LineServer, TcpAddress, encode
from fkp_edge.stream.client.watch import _copy, _show, _Status, watch


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def run(server, line):
    """Watches a server that has published one line: what was written."""

    def run(out: io.StringIO, *, as_json: bool = False) -> str:
        server.publish(line(1))
        assert watch(str(server.address), as_json=as_json, out=out, count=1) == 1
        return out.getvalue()

    return run


def test_json_is_every_line_as_it_came(run, hello, line):
    assert run(io.StringIO(), as_json=True) == (encode(hello) + line(1)).decode()


def test_a_status_says_what_is_seen(run):
    introduction, status = run(io.StringIO()).splitlines()
    assert introduction.endswith(": model fkp15-int8 (abababab), 15 points, 640x480 from demo")
    assert status == "tracking   1 face   score 0.99  nose_tip (123, 235)  0.0/s  dropped 0"


def test_a_terminal_gets_one_line_rewritten(run):
    text = run(Terminal())
    assert text.count("\n") == 2
    assert "\n\rtracking" in text


def show(connection, out: io.StringIO) -> list[str]:
    """What a person sees of a stream that ends."""
    _show(connection, connection.pairs(), out, None)
    return out.getvalue().splitlines()


def test_the_end_of_the_stream_has_a_line(peer, hello, line):
    connection = peer(encode(hello) + line(1))
    assert show(connection, io.StringIO())[-1] == f"{connection.address} ended"


def test_the_end_of_the_stream_leaves_the_live_line(peer, hello, line):
    lines = show(peer(encode(hello) + line(1) + line(2)), Terminal())
    assert len(lines) == 5  # StringIO takes each \r for an end of line: hello, an empty one, two statuses, the end
    assert lines[-1].endswith("ended")


def test_a_shorter_status_covers_a_longer_one(peer, hello, line):
    lines = show(peer(encode(hello) + line(1) + line(2, faces=0)), Terminal())
    assert len(lines[3]) == len(lines[2])


def test_elsewhere_a_status_comes_once_a_second(peer, hello, line):
    data = b"".join(line(i, sent_ns=i * 100_000_000) for i in range(31))
    assert len(show(peer(encode(hello) + data), io.StringIO())) == 1 + 4 + 1


def test_elsewhere_a_status_comes_at_each_change_of_state(peer, hello, line):
    states = ["searching", "searching", "tracking", "held", "tracking", "tracking", "no_camera"]
    data = b"".join(line(i, state=state) for i, state in enumerate(states))
    shown = [text.split()[0] for text in show(peer(encode(hello) + data), io.StringIO())[1:-1]]
    assert shown == ["searching", "tracking", "held", "tracking", "no_camera"]


def test_json_ends_without_a_word(peer, hello, line):
    out = io.StringIO()
    connection = peer(encode(hello) + line(1) + line(2))
    assert _copy(connection, connection.pairs(), out, None) == 2
    assert out.getvalue().encode() == encode(hello) + line(1) + line(2)


def test_hostile_names_do_not_reach_the_terminal(hello, observe):
    hello = type(hello)(model="\x1b[2J", model_sha256="", points=("\x1b",), frame_size=None, source="", server_ns=0)
    assert "\x1b" not in _Status(hello).text(observe(1), age_ms=None)


def test_frames_per_second_count_new_frames_only(hello, observe):
    status = _Status(hello)
    for i in range(60):
        text = status.text(observe(i // 2, sent_ns=i * 50_000_000), age_ms=None)
    assert "10.0/s" in text


def test_no_frames_for_two_seconds_is_zero(hello, observe):
    status = _Status(hello)
    for i in range(10):
        status.text(observe(i, sent_ns=i * 50_000_000), age_ms=None)
    assert "0.0/s" in status.text(observe(9, sent_ns=3_000_000_000, state="no_camera"), age_ms=None)


@pytest.mark.parametrize("age_ms", [None, -5.0, 1e9])
def test_an_age_that_makes_no_sense_is_left_out(hello, observe, age_ms):
    assert "age" not in _Status(hello).text(observe(1), age_ms=age_ms)


def test_waits_for_a_stream_that_starts_late(hello, line):
    with socket.socket() as holder:  # a port that nobody listens on yet
        holder.bind(("127.0.0.1", 0))
        address = TcpAddress("127.0.0.1", holder.getsockname()[1])
    out = io.StringIO()
    watcher = threading.Thread(target=watch, args=(str(address),), kwargs={"as_json": True, "out": out, "wait_s": 20})
    watcher.start()
    with LineServer(address, lambda: hello) as server:
        server.publish(line(1))
        while not server.clients and watcher.is_alive():
            watcher.join(0.01)
    watcher.join(20)
    assert out.getvalue() == (encode(hello) + line(1)).decode()


def end_after_a_line(listener):
    with listener.accept()[0] as sock:
        sock.recv(4096)  # unread, closing would reset the connection


@pytest.mark.parametrize(("hello_s", "sent_s", "shown"), [(0.0, 0.2, True), (30.0, 28.0, False), (-30.0, 0.2, False)])
def test_an_age_is_shown_where_the_clock_is_ours_and_the_stream_no_replay(peer, hello, line, hello_s, sent_s, shown):
    now_ns = time.monotonic_ns()
    hello = msgspec.structs.replace(hello, server_ns=max(0, now_ns - round(hello_s * 1e9)))
    lines = show(peer(encode(hello) + line(1, sent_ns=now_ns - round(sent_s * 1e9))), io.StringIO())
    assert ("  age " in lines[1]) is shown


def test_what_is_waited_for_is_said():
    said = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(StreamError):
        watch(f"tcp://127.0.0.1:{port}", as_json=True, out=io.StringIO(), wait_s=1.5, say=said.append)
    assert len(said) == 1
    with socket.create_server(("127.0.0.1", 0)) as silent:
        timer = threading.Timer(1.5, lambda: end_after_a_line(silent))
        timer.start()
        with pytest.raises(StreamError, match="before its hello"):
            watch(f"tcp://127.0.0.1:{silent.getsockname()[1]}", as_json=True, out=io.StringIO(), say=said.append)
        timer.join()
    assert len(said) == 2
    assert "waiting for its first line" in said[1]
