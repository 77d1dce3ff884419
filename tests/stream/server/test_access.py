from __future__ import annotations

import json
import socket
import ssl

import pytest

from fkp_edge.errors import StreamError
from fkp_edge.stream import TcpAddress, UdpAddress, UnixAddress, WebAddress, connect, encode, parse_address
from fkp_edge.stream.protocol.messages import Auth
from fkp_edge.stream.server.access import check_certificate, check_reach, read_password, read_token, same_token
from fkp_edge.stream.server.connection import Limits

TOKEN = "0123456789abcdef"


def test_a_token_is_what_the_file_holds_without_white_space(tmp_path):
    path = tmp_path / "token"
    path.write_text(f" {TOKEN}\n")
    assert read_token(path) == TOKEN


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 201, b"two lines of\ntoken text", b"\xff" * 20])
def test_what_is_no_token_is_refused_and_says_how_to_make_one(tmp_path, content):
    path = tmp_path / "token"
    path.write_bytes(content)
    with pytest.raises(StreamError, match=r"holds no token of 16 to 200 ASCII .* make one with python3 -c"):
        read_token(path)


def test_a_missing_token_file_says_how_to_make_one(tmp_path):
    with pytest.raises(StreamError, match=r"cannot read token file .*none: No such file.* make one with python3 -c"):
        read_token(tmp_path / "none")


def test_tokens_are_compared_whole():
    assert same_token(TOKEN, TOKEN)
    assert not any(same_token(other, TOKEN) for other in ("", TOKEN[:-1], TOKEN + "x", "é", "\udcff"))


@pytest.mark.parametrize("kind", [TcpAddress, WebAddress])
def test_beyond_loopback_a_token_or_insecure_will_do(kind):
    check_reach(kind("0.0.0.0", 1), token=TOKEN, insecure=False)
    check_reach(kind("0.0.0.0", 1), token=None, insecure=True)
    with pytest.raises(StreamError, match="can be reached from other machines"):
        check_reach(kind("0.0.0.0", 1), token=None, insecure=False)


def test_datagrams_beyond_loopback_need_insecure():
    check_reach(UdpAddress("127.0.0.1", 1), token=None, insecure=False)
    check_reach(UdpAddress("192.0.2.1", 1), token=None, insecure=True)
    with pytest.raises(StreamError, match=r"datagrams carry no token; send to 127.0.0.1, or .* --insecure"):
        check_reach(UdpAddress("192.0.2.1", 1), token=TOKEN, insecure=False)


@pytest.fixture
def guarded(open_server):
    return open_server(token=TOKEN, limits=Limits(auth_s=0.05))


def test_the_token_opens_the_stream(guarded, hello, observe):
    guarded.publish(encode(observe(1)))
    with connect(str(guarded.address), token=TOKEN) as client:
        assert [next(client), next(client)] == [hello, observe(1)]


@pytest.mark.parametrize("token", ["wrong", TOKEN[:-1], TOKEN + "x", "é"])
def test_a_wrong_token_is_refused_without_a_hello(guarded, token):
    with (
        connect(str(guarded.address), token=token) as client,
        pytest.raises(StreamError, match=r"refused this client: this stream's token is another; .* --token-file"),
    ):
        next(client)


def test_what_says_nothing_is_refused_in_time(guarded, observe):
    guarded.publish(encode(observe(1)))
    with (
        socket.create_connection((guarded.address.host, guarded.address.port), timeout=10) as sock,
        sock.makefile("rb") as file,
    ):
        assert "no token came within 0.05 s" in json.loads(file.read())["text"]


@pytest.fixture
def patient(open_server):
    """Waits for a token for longer than any test."""
    return open_server(token=TOKEN, limits=Limits(auth_s=3600))


def test_a_client_without_a_token_is_told_at_once_that_one_is_wanted(patient):
    with (
        connect(str(patient.address)) as client,
        pytest.raises(StreamError, match=r"refused this client: this stream asks for its token; .* --token-file"),
    ):
        next(client)


def test_a_client_that_will_send_no_more_is_told_at_once_that_its_token_is_wanted(patient):
    with socket.create_connection((patient.address.host, patient.address.port), timeout=10) as sock:
        sock.shutdown(socket.SHUT_WR)
        with sock.makefile("rb") as file:
            assert "the connection's end came before a token" in json.loads(file.read())["text"]


def test_clients_that_leave_without_a_token_take_nobodys_place(patient, eventually):
    for _ in range(20):
        socket.create_connection((patient.address.host, patient.address.port)).close()
    eventually(lambda: patient.refused == 20)
    eventually(lambda: patient.clients == 0)


def test_a_ping_is_no_token(guarded):
    with connect(str(guarded.address)) as client:
        client.ping()
        with pytest.raises(StreamError, match="this stream asks for its token"):
            next(client)


def test_a_token_that_nobody_asked_for_does_no_harm(server, hello, observe):
    with connect(str(server.address), token=TOKEN) as client:
        assert next(client) == hello
        server.publish(encode(observe(1)))
        assert next(client) == observe(1)


def test_a_second_token_is_ignored(guarded, hello):
    with connect(str(guarded.address), token=TOKEN) as client:
        client._transport.send(encode(Auth(token="another")))
        client.ping()
        assert [json.loads(line)["type"] for line, _ in zip(client.lines(), range(2), strict=False)] == [
            "hello",
            "pong",
        ]


def test_a_unix_socket_asks_for_no_token(open_server, hello, tmp_path):
    from fkp_edge.stream import LineServer

    address = UnixAddress(str(tmp_path / "s"))
    with LineServer(address, lambda: hello, token=TOKEN), connect(str(address)) as client:
        assert next(client) == hello


def test_a_password_is_the_first_line(tmp_path):
    path = tmp_path / "password"
    path.write_text("a b c\nsecond line\n")
    assert read_password(path) == "a b c"


@pytest.mark.parametrize(
    ("content", "text"), [(b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfe", "cannot read password file")]
)
def test_what_is_no_password_is_refused(tmp_path, content, text):
    path = tmp_path / "password"
    path.write_bytes(content)
    with pytest.raises(StreamError, match=rf"{text}.*; expected one line of text"):
        read_password(path)


def test_mqtt_beyond_loopback_needs_tls_or_insecure():
    with pytest.raises(StreamError, match=r"in the clear; say mqtts:// for TLS"):
        check_reach(parse_address("mqtt://10.0.0.1:1883"), token=None, insecure=False)
    check_reach(parse_address("mqtts://10.0.0.1:8883"), token=None, insecure=False)
    check_reach(parse_address("mqtt://10.0.0.1:1883"), token=None, insecure=True)


def test_wss_needs_a_certificate_and_nothing_else_does():
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    for address in (TcpAddress("h", 1), UdpAddress("h", 1), WebAddress("h", 1)):
        check_certificate(address, None)
        check_certificate(address, tls)
    check_certificate(WebAddress("h", 1, secure=True), tls)
    with pytest.raises(StreamError, match="certificate"):
        check_certificate(WebAddress("h", 1, secure=True), None)
