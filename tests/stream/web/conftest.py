from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from fkp_edge.stream import WebAddress

if TYPE_CHECKING:
    from fkp_edge.stream.web import LineSockets, WebServer


@pytest.fixture
def open_sockets(hello) -> Iterator[Callable[..., tuple[LineSockets, WebServer]]]:
    """Opens WebSocket streams on free ports, closed after the test."""
    from fkp_edge.stream.web import LineSockets, WebServer

    with contextlib.ExitStack() as stack:

        def build(address: WebAddress | None = None, **options: object) -> tuple[LineSockets, WebServer]:
            sockets = LineSockets(lambda: hello)
            address = address or WebAddress("127.0.0.1", 0)
            server = WebServer(address, sockets.routes(address.path), end=sockets.close, **options)
            return sockets, stack.enter_context(server)

        yield build
