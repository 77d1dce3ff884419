"""What every accepting server does: who is welcomed, who is turned away, and what its end leaves."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fkp_edge.stream import TcpAddress, UnixAddress
from fkp_edge.stream.server import base
from fkp_edge.stream.server.base import MAX_LEAVING, AcceptingServer

LONG_S = 3600.0


class Patient(AcceptingServer[TcpAddress | UnixAddress]):
    """Welcomes `places` clients, each with a task that sleeps for an hour and minds being woken."""

    def __init__(self, address: TcpAddress | UnixAddress, places: int = 100) -> None:
        super().__init__(address, thread="patient", token=None, insecure=False)
        self._places = places
        self.hosts: list[str] = []
        self.woken = 0
        self._socks = contextlib.ExitStack()
        self._start()

    @property
    def clients(self) -> int:
        return len(self.hosts)

    def _has_place(self, host: str) -> bool:
        return len(self.hosts) < self._places

    def _welcome(self, sock: socket.socket, host: str) -> None:
        self.hosts.append(host)
        self._socks.enter_context(sock)
        self._task = self._loop.create_task(self._sleep())

    async def _sleep(self) -> None:
        try:
            await asyncio.sleep(LONG_S)
        finally:
            self.woken += 1
            raise ValueError("woken")

    def _full(self) -> bytes:
        return b"full\n"

    async def _end(self) -> None:
        self._socks.close()


@pytest.fixture
def patient() -> Iterator[Callable[..., Patient]]:
    with contextlib.ExitStack() as opened:
        yield lambda *args: opened.enter_context(Patient(*args))


def connected(server: Patient) -> socket.socket:
    if isinstance(server.address, UnixAddress):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(server.address.path)
        return sock
    return socket.create_connection((server.address.host, server.address.port), timeout=20)


def test_the_end_wakes_whoever_sleeps_and_minds_no_complaint(patient, eventually):
    server = patient(TcpAddress("127.0.0.1", 0))
    with connected(server), connected(server):
        eventually(lambda: server.clients == 2)
        server.close()
    assert server.woken == 2
    assert "patient" not in [thread.name for thread in threading.enumerate()]


def test_a_peer_is_known_by_its_address_where_it_has_one(patient, eventually, tmp_path: Path):
    for address, host in ((TcpAddress("127.0.0.1", 0), "127.0.0.1"), (UnixAddress(str(tmp_path / "s")), "")):
        server = patient(address)
        with connected(server):
            eventually(lambda server=server: server.clients == 1)
        assert server.hosts == [host]


def test_who_is_turned_away_may_stay_a_moment_and_reads_why_whatever_it_sends(patient, eventually, monkeypatch):
    monkeypatch.setattr(base, "LINGER_S", 60.0)  # on a busy machine, too
    server = patient(TcpAddress("127.0.0.1", 0), 0)
    with connected(server) as sock:
        eventually(lambda: len(server._leaving) == 1)
        with contextlib.suppress(ConnectionError):
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert sock.makefile("rb").read() == b"full\n"
    assert server.refused == 1


def test_those_who_are_turned_away_and_stay_take_few_descriptors(patient, eventually):
    server = patient(TcpAddress("127.0.0.1", 0), 0)
    with contextlib.ExitStack() as staying:
        socks = [staying.enter_context(connected(server)) for _ in range(3 * MAX_LEAVING)]
        eventually(lambda: server.refused == len(socks))
        assert len(server._leaving) <= MAX_LEAVING
        assert {sock.recv(100) for sock in socks} == {b"full\n"}
