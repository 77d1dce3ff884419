"""The transports alone: what each says when it is closed, silent, or not what was expected."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest

from fkp_edge.errors import StreamError
from fkp_edge.stream import TcpAddress, UdpAddress, parse_address
from fkp_edge.stream.client.transports import LostError, Transport, dial


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address_of(sock: socket.socket) -> TcpAddress:
    return TcpAddress("127.0.0.1", sock.getsockname()[1])


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def dial_datagrams(timeout_s: float = 5.0) -> tuple[Transport, UdpAddress]:
    address = UdpAddress("127.0.0.1", free_port())
    return dial(address, token=None, timeout_s=timeout_s), address


@pytest.fixture(params=["tcp", "udp"])
def waiting(request: pytest.FixtureRequest, listener) -> Transport:
    """A transport to which nothing is sent."""
    if request.param == "udp":
        return dial_datagrams()[0]
    return dial(address_of(listener), token=None, timeout_s=5.0)


def ends_when(transport: Transport, act: Callable[[], None]) -> list[bytes | None]:
    """What a thread that waits for a line gets when `act` is done."""
    got: list[bytes | None] = []
    thread = threading.Thread(target=lambda: got.append(transport.next_line()))
    thread.start()
    act()
    thread.join(5)
    return got


def test_closing_ends_waiting_in_another_thread(waiting: Transport):
    assert ends_when(waiting, waiting.close) == [None]


def test_a_closed_transport_has_no_more_lines(waiting: Transport):
    waiting.close()
    waiting.close()
    assert waiting.next_line() is None


def test_datagrams_of_others_do_not_count_as_a_stream():
    transport, address = dial_datagrams(timeout_s=0.3)
    stop = threading.Event()

    def babble() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            while not stop.wait(0.02):
                other.sendto(b"not ours", (address.host, address.port))

    thread = threading.Thread(target=babble)
    thread.start()
    with pytest.raises(LostError, match=rf"nothing came from {address} for 0.3 s"):
        transport.next_line()
    stop.set()
    thread.join(5)
    transport.close()


def test_datagrams_carry_no_questions():
    transport, _ = dial_datagrams()
    with pytest.raises(StreamError, match="carries no questions; connect to a tcp, unix or ws stream to ping"):
        transport.send(b"{}\n")
    transport.close()


def test_an_address_where_nobody_can_be_reached(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LostError, match=r"cannot connect to unix://.*; expected the address of a stream"):
        dial(parse_address(f"unix://{tmp_path}/file/socket"), token=None, timeout_s=1.0)


def test_what_only_other_programs_read_is_refused():
    with pytest.raises(StreamError, match="is for other programs to read; expected a tcp, unix, ws or udp stream"):
        dial(parse_address("osc://127.0.0.1:9000"), token=None, timeout_s=1.0)
