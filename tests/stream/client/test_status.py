"""Whether a stream is alive."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from fkp_edge.cli.main import main
from fkp_edge.errors import StreamError
from fkp_edge.stream.client.connection import read_status


@contextmanager
def publishing(server, lines: Callable[[int], bytes]) -> Iterator[str]:
    """Publishes `lines(0)`, `lines(1)` ... until the block ends: the address."""
    ended = threading.Event()

    def run() -> None:
        number = 0
        while not ended.wait(0.01):
            server.publish(lines(number))
            number += 1

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield str(server.address)
    finally:
        ended.set()
        thread.join()


def test_frames_that_flow(server, line):
    with publishing(server, lambda n: line(n, sent_ns=time.monotonic_ns())) as url:
        found = read_status(url)
    assert found.is_alive
    assert (found.state, found.faces, found.hello.model) == ("tracking", 1, "fkp15-int8")
    assert found.frames_per_s > 1


def test_one_frame_repeated_is_none(server, line):
    with publishing(server, lambda n: line(1)) as url:
        found = read_status(url, within_s=0.3)
    assert not found.is_alive
    assert (found.frames, found.age_ms) == (0, None)


def test_a_stream_that_falls_silent(server, line):
    server.publish(line(1))
    assert read_status(str(server.address), within_s=0.2).frames == 0


def test_what_is_no_stream(peer):
    connection = peer(b"HTTP/1.1 400 Bad Request\r\n")
    with pytest.raises(StreamError):
        read_status(str(connection.address), within_s=0.5)


def test_the_command_prints_a_stream_that_is_alive(server, line, capsys: pytest.CaptureFixture[str]):
    with publishing(server, lambda n: line(n, sent_ns=time.monotonic_ns())) as url:
        assert main(["status", url]) == 0
    status, model = capsys.readouterr().out.splitlines()
    assert status.startswith(f"{url}: tracking, 1 face, ")
    assert model == "model fkp15-int8 (abababab), 15 points, 640x480 from demo"


def test_a_stale_stream_is_exit_code_1(server, line, capsys: pytest.CaptureFixture[str]):
    server.publish(line(1))
    assert main(["status", str(server.address), "--within", "0.2", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["alive"] is False


def test_nothing_there_is_exit_code_1(capsys: pytest.CaptureFixture[str]):
    assert main(["status", "tcp://127.0.0.1:1"]) == 1
    assert capsys.readouterr().out.startswith("tcp://127.0.0.1:1: no answer: nothing listens on tcp://127.0.0.1:1 ")
    assert main(["status", "tcp://127.0.0.1:1", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["alive"] is False


def test_no_address_is_exit_code_2(capsys: pytest.CaptureFixture[str]):
    assert main(["status", "no where"]) == 2
    assert "stream address 'no where' is not understood" in capsys.readouterr().err
