from __future__ import annotations

import socket
import subprocess
import sys
import threading

import pytest

from fkp_edge.errors import StreamError
from fkp_edge.stream import ErrorMessage, Hello, connect, encode


def test_it_ends_when_the_server_closes(server, join):
    client = join()
    server.close()
    assert list(client) == []


def test_messages_come_in_order(peer, hello, observe):
    assert list(peer(encode(hello) + encode(observe(1)) + encode(observe(2)))) == [hello, observe(1), observe(2)]


def test_lines_are_the_bytes_that_came(peer, hello, line):
    data = [encode(hello), line(1).replace(b":", b" : ")]
    assert list(peer(b"".join(data)).lines()) == data


def test_unknown_fields_are_ignored(peer, hello):
    assert list(peer(encode(hello).replace(b"{", b'{"new":1,'))) == [hello]


def refuse(connection, text: str) -> None:
    with pytest.raises(StreamError, match=text):
        list(connection)
    assert list(connection) == []


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", r"b'SSH-2.0-OpenSSH_9.2\\r\\n' is not understood"),
        (b'{"type":"hello","protocol":2}\n', "protocol version 2 and this client speaks 1; upgrade fkp-edge"),
        (b'{"type":"pong","client_ns":1,"server_ns":1}\n', "began with pong; expected hello"),
        (b"", "closed the connection before its hello"),
        (b'{"type":', "closed the connection in the middle of a line"),
        (b"x" * 70_000, "is too long; expected at most 65536 bytes"),
        (encode(ErrorMessage(text="too\x1bmany")), r"refused this client: too\?many"),
    ],
)
def test_a_server_that_breaks_the_protocol_is_an_error_and_the_end(peer, data, text):
    refuse(peer(data), text)


def test_lines_are_checked_too(peer, hello):
    with pytest.raises(StreamError, match="is not understood"):
        list(peer(encode(hello) + b"garbage\n").lines())


def test_a_silent_server_is_an_error(peer, hello):
    refuse(
        peer(encode(hello), close=False, timeout_s=0.05),
        r"nothing came from tcp://127.0.0.1:\d+ for 0.05 s; expected a line at least once a second",
    )


def test_a_port_where_nothing_listens_names_the_remedy():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(StreamError) as raised:
        connect(f"tcp://127.0.0.1:{port}")
    assert str(raised.value) == (
        f"nothing listens on tcp://127.0.0.1:{port} (connection refused); "
        "start fkp-edge run, or name its --stream address"
    )


def test_a_host_that_is_unknown_is_an_error():
    with pytest.raises(StreamError, match=r"cannot find the host of tcp://no-such-host.invalid:1: "):
        connect("tcp://no-such-host.invalid:1")


def test_a_server_that_does_not_answer_is_an_error():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        url = f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        with (
            socket.create_connection(listener.getsockname()),
            pytest.raises(StreamError, match="no answer from tcp://"),
        ):
            connect(url, timeout_s=0.05)


@pytest.mark.parametrize("url", ["osc://127.0.0.1:9", "openseeface://127.0.0.1:9", "mqtt://127.0.0.1:9"])
def test_what_is_for_other_programs_is_refused(url):
    with pytest.raises(StreamError, match="is for other programs to read; expected a tcp, unix, ws or udp stream"):
        connect(url)


def test_closing_twice_is_fine(server):
    client = connect(str(server.address))
    client.close()
    client.close()
    assert list(client) == []


def test_closing_ends_an_iteration_in_another_thread(server, join):
    client = join()
    ended = threading.Thread(target=lambda: list(client))
    ended.start()
    client.close()
    ended.join(2)
    assert not ended.is_alive()


def test_a_ping_on_a_closed_connection_is_an_error(server):
    client = connect(str(server.address))
    client.close()
    with pytest.raises(StreamError, match=r"cannot send to tcp://.* connect again"):
        client.ping()


def test_repr_says_open_or_closed(server):
    with connect(str(server.address)) as client:
        assert repr(client) == f"<Connection {server.address} open>"
    assert repr(client) == f"<Connection {server.address} closed>"


def test_clients_need_neither_numpy_nor_opencv(server, hello):
    code = f"""
import sys
for name in ("numpy", "cv2", "tensorflow", "ai_edge_litert"):
    sys.modules[name] = None
from fkp_edge.stream import connect
with connect({str(server.address)!r}) as client:
    print(next(client).model)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)
    assert (done.stdout, done.stderr) == (f"{hello.model}\n", "")


def test_hello_is_typed(server):
    with connect(str(server.address)) as client:
        assert isinstance(next(client), Hello)
