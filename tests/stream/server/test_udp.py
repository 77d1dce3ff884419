from __future__ import annotations

import contextlib
import socket

import pytest

from fkp_edge.errors import StreamError
from fkp_edge.stream import Hello, UdpAddress, UdpSender, connect
from fkp_edge.stream.protocol.datagrams import decode_datagram


@pytest.fixture
def receive():
    """Opens receivers: the socket, and a sender's address to it."""
    with contextlib.ExitStack() as stack:

        def build() -> tuple[socket.socket, UdpAddress]:
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            sock.bind(("127.0.0.1", 0))
            sock.settimeout(5)
            return sock, UdpAddress("127.0.0.1", sock.getsockname()[1])

        yield build


def test_a_hello_comes_first_and_again_after_a_second(receive, hello, observe):
    sock, address = receive()
    with UdpSender(address, lambda: hello) as sender:
        for sent_ns in (0, 900_000_000, 1_000_000_000):
            sender.publish(observe(1, sent_ns=sent_ns))
    kinds = [type(decode_datagram(sock.recv(65536))).__name__ for _ in range(5)]
    assert kinds == ["Hello", "ObservationMessage", "ObservationMessage", "Hello", "ObservationMessage"]


def test_a_target_that_is_not_there_costs_nothing(receive, hello, observe):
    sock, address = receive()
    sock.close()
    with UdpSender(address, lambda: hello) as sender:
        for sequence in range(100):
            sender.publish(observe(sequence))
        assert repr(sender) == f"<UdpSender {address} open>"
    assert repr(sender) == f"<UdpSender {address} closed>"


def test_publishing_after_closing_does_nothing(receive, hello, observe):
    sender = UdpSender(receive()[1], lambda: hello)
    sender.close()
    sender.close()
    sender.publish(observe(1))
    assert sender.sent == 0


def test_an_unknown_host_is_an_error(hello):
    with pytest.raises(StreamError, match=r"cannot find the host of udp://no-such-host.invalid:1"):
        UdpSender(UdpAddress("no-such-host.invalid", 1), lambda: hello, insecure=True)


@pytest.fixture
def listening():
    """A client that receives datagrams, and a sender's address to it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        address = UdpAddress("127.0.0.1", free.getsockname()[1])
    with connect(str(address), reconnect=False, timeout_s=1.0) as client:
        yield client, address


def test_a_client_reads_hello_and_observations(listening, hello, observe):
    client, address = listening
    with UdpSender(address, lambda: hello) as sender:
        for sequence in range(3):
            sender.publish(observe(sequence))
    assert [next(client) for _ in range(4)] == [hello, *(observe(sequence) for sequence in range(3))]


def test_a_client_gets_another_hello_only_where_it_says_something_new(listening, hello, observe):
    client, address = listening
    hellos = [hello, hello, Hello(**{name: getattr(hello, name) for name in hello.__struct_fields__} | {"source": "x"})]
    with UdpSender(address, lambda: hellos.pop(0)) as sender:
        for second in range(3):
            sender.publish(observe(second, sent_ns=second * 10**9))
    kinds = [type(next(client)).__name__ for _ in range(5)]
    assert kinds == ["Hello", "ObservationMessage", "ObservationMessage", "Hello", "ObservationMessage"]


def test_garbage_and_what_comes_before_the_hello_are_skipped(listening, hello, observe):
    client, address = listening
    sender = UdpSender(address, lambda: hello)
    with sender, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as rude:
        for data in (b"", b"garbage", b"FKPE\x02\x00\x08\x00"):
            rude.sendto(data, (address.host, address.port))
        sender.publish(observe(1))
    assert [next(client), next(client)] == [hello, observe(1)]


def test_a_ping_is_refused(listening):
    with pytest.raises(StreamError, match="carries no questions; connect to a tcp, unix or ws stream"):
        listening[0].ping()


def test_silence_is_an_error(listening):
    with pytest.raises(StreamError, match=r"nothing came from udp://127.0.0.1:\d+ for 1 s"):
        next(listening[0])


def test_an_address_of_another_machine_cannot_receive():
    with pytest.raises(StreamError, match=r"cannot receive at udp://192.0.2.1:9: .* expected an address of this"):
        connect("udp://192.0.2.1:9")
