from __future__ import annotations

import contextlib
import socket
import stat
import threading

import pytest

from fkp_edge.errors import StreamError
from fkp_edge.stream import LineServer, UnixAddress, connect, encode


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fkp.sock"


@pytest.fixture
def unix_server(path, hello):
    with LineServer(UnixAddress(str(path)), lambda: hello) as server:
        yield server


def test_it_streams_lines(unix_server, hello, observe):
    with connect(str(unix_server.address)) as client:
        assert next(client) == hello
        for sequence in range(50):
            unix_server.publish(encode(observe(sequence)))
            assert next(client).sequence == sequence


def test_the_file_is_for_its_owner(unix_server, path):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_in_a_folder_that_belongs_to_a_group_the_file_is_for_that_group_too(tmp_path, hello):
    tmp_path.chmod(0o2750)
    path = tmp_path / "fkp.sock"
    with LineServer(UnixAddress(str(path)), lambda: hello):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_the_file_goes_with_the_server(unix_server, path):
    unix_server.close()
    assert not path.exists()


def test_a_socket_that_a_killed_process_left_is_replaced(path, hello):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with LineServer(UnixAddress(str(path)), lambda: hello) as server, connect(str(server.address)) as client:
        assert next(client) == hello


def test_a_socket_in_use_is_refused(unix_server, path, hello):
    with pytest.raises(StreamError, match=rf"{path} is in use; stop the program that listens there"):
        LineServer(unix_server.address, lambda: hello)


def test_a_socket_whose_owner_is_stopped_is_refused(path, hello):
    """Its backlog is full: a connection to it would wait for ever."""
    with contextlib.ExitStack() as opened:
        owner = opened.enter_context(socket.socket(socket.AF_UNIX))
        owner.bind(str(path))
        owner.listen(0)
        with contextlib.suppress(BlockingIOError):
            while True:
                client = opened.enter_context(socket.socket(socket.AF_UNIX))
                client.setblocking(False)
                client.connect(str(path))
        refusals = []

        def start() -> None:
            try:
                LineServer(UnixAddress(str(path)), lambda: hello).close()
            except StreamError as error:
                refusals.append(str(error))

        starting = threading.Thread(target=start, daemon=True)
        starting.start()
        starting.join(2)
        assert refusals
        assert str(path) in refusals[0]


def test_the_socket_of_a_successor_stays(unix_server, path, hello):
    path.unlink()
    with LineServer(UnixAddress(str(path)), lambda: hello) as successor:
        unix_server.close()
        with connect(str(successor.address)) as client:
            assert next(client) == hello


def test_a_file_that_is_no_socket_is_left_alone(path, hello):
    path.write_text("mine")
    with pytest.raises(StreamError, match=f"{path} exists and is no socket; name another path, or remove it"):
        LineServer(UnixAddress(str(path)), lambda: hello)
    assert path.read_text() == "mine"


def test_a_folder_that_is_missing_is_named(tmp_path, hello):
    with pytest.raises(
        StreamError, match=r"cannot listen on unix://.* expected a path in a folder that may be written"
    ):
        LineServer(UnixAddress(str(tmp_path / "none" / "s")), lambda: hello)


def test_a_path_where_nothing_listens_names_the_remedy(path):
    with pytest.raises(StreamError, match=r"nothing listens on unix://.* \(no such file\); start fkp-edge run"):
        connect(f"unix://{path}")


def test_a_client_that_slept_finds_little_that_is_stale(unix_server, line):
    with connect(str(unix_server.address)) as asleep, connect(str(unix_server.address)) as reader:
        next(asleep), next(reader)
        for sequence in range(2000):
            unix_server.publish(line(sequence, faces=2))
            assert next(reader).sequence == sequence
        size = 0
        for data in asleep.lines():
            size += len(data)
            if b'"sequence":1999,' in data:
                break
        assert size <= 64 * 1024
