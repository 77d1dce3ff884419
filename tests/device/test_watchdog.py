"""What systemd hears."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from fkp_edge.core.observation import Frame, Observation, State
from fkp_edge.core.systemd import Watchdog

FRAME = Frame(np.zeros((48, 64), np.uint8), 0, 0)
SEEN = Observation(0, 0, State.SEARCHING)
LOST = Observation(0, 0, State.NO_CAMERA)


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.setblocking(False)
        yield listening


def heard(listening: socket.socket) -> list[bytes]:
    found = []
    try:
        while True:
            found.append(listening.recv(100))
    except BlockingIOError:
        return found


def environment(listening: socket.socket, micros: int) -> dict[str, str]:
    return {"NOTIFY_SOCKET": listening.getsockname(), "WATCHDOG_USEC": str(micros)}


def test_pings_mean_that_frames_flow(systemd: socket.socket) -> None:
    watchdog = Watchdog(environment(systemd, 0), alive=lambda: False)
    watchdog(None, SEEN)
    watchdog(FRAME, SEEN)
    watchdog(None, SEEN)
    watchdog(FRAME, SEEN)
    assert heard(systemd) == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


def test_pings_go_on_while_a_lost_camera_is_opened_again_and_end_where_it_no_longer_is(systemd: socket.socket) -> None:
    reopens = True
    watchdog = Watchdog(environment(systemd, 0), alive=lambda: reopens)
    watchdog(None, LOST)
    watchdog(None, LOST)
    reopens = False
    watchdog(None, LOST)
    assert heard(systemd) == [b"READY=1", b"WATCHDOG=1", b"WATCHDOG=1"]


def test_pings_no_more_often_than_needed(systemd: socket.socket) -> None:
    watchdog = Watchdog(environment(systemd, 3_600_000_000))
    for _ in range(5):
        watchdog(FRAME, SEEN)
    assert heard(systemd) == [b"READY=1", b"WATCHDOG=1"]


def test_pings_meant_for_another_process_are_not_ours_to_send(systemd: socket.socket) -> None:
    Watchdog(environment(systemd, 0) | {"WATCHDOG_PID": "1"})(FRAME, SEEN)
    assert heard(systemd) == [b"READY=1"]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": "/nowhere/notify", "WATCHDOG_USEC": "0"}])
def test_without_systemd_nothing_happens(environment: dict[str, str]) -> None:
    Watchdog(environment)(FRAME, SEEN)
