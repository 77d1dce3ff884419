"""What the line server and the web server share: a thread and a loop that accept, count and end clients."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from abc import ABC, abstractmethod
from concurrent.futures import Future
from dataclasses import replace
from typing import Generic, TypeVar

from fkp_edge.core.files import Closing
from fkp_edge.errors import StreamError
from fkp_edge.stream.protocol.address import TcpAddress, UnixAddress, WebAddress
from fkp_edge.stream.protocol.messages import MAX_CLIENT_LINE_BYTES
from fkp_edge.stream.server.access import check_reach
from fkp_edge.stream.server.sockets import bound_port, identity, limit_buffers, listen, remove_socket_file

__all__ = ["AcceptingServer"]

A = TypeVar("A", bound=TcpAddress | UnixAddress | WebAddress)

ACCEPT_PAUSE_S = 0.01
JOIN_S = 5.0
LINGER_S = 1.0
"""How long a client that is turned away may take to send what it began with."""
MAX_LEAVING = 16
"""Such clients at a time."""

_log = logging.getLogger(__name__)


class AcceptingServer(Closing, ABC, Generic[A]):
    """Accepts connections at `address` until closed. Subclasses say what a client gets, and call `_start`."""

    def __init__(self, address: A, *, thread: str, token: str | None, insecure: bool) -> None:
        """Listens at once: clients can connect when this returns.

        Args:
            address: what to bind; port 0 takes a free one.
            thread: its name.
            token: what clients must show.
            insecure: allows to bind beyond loopback without a token: anybody on the network can watch.

        Raises:
            StreamError: the address cannot be bound, or is beyond loopback.
        """
        check_reach(address, token=token, insecure=insecure)
        self._listener = listen(address)
        self._address = (
            address if isinstance(address, UnixAddress) else replace(address, port=bound_port(self._listener))
        )
        self._made = identity(address.path) if isinstance(address, UnixAddress) else None
        self._refused = 0
        self._leaving: set[socket.socket] = set()
        self._prepared: Future[None] = Future()
        self._lock = threading.Lock()
        self._closed = False
        self._closing = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=thread, daemon=True)

    @property
    def address(self) -> A:
        """Where it listens, with the port that was bound."""
        return self._address

    @property
    @abstractmethod
    def clients(self) -> int:
        """Clients connected now."""

    @property
    def refused(self) -> int:
        """Clients turned away so far: there were too many, or they broke the rules."""
        return self._refused

    def close(self) -> None:
        """Disconnects all. Twice is fine.

        Raises:
            StreamError: the thread did not end.
        """
        with self._lock:
            if not self._closed:
                self._closed = True
                self._loop.call_soon_threadsafe(self._closing.set)
        self._thread.join(JOIN_S)
        if self._thread.is_alive():
            raise StreamError(f"the thread that serves {self._address} did not end within {JOIN_S:g} s")

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"open, {self.clients} clients"
        return f"<{type(self).__name__} {self._address} {state}>"

    def _start(self) -> None:
        """Serves from now on; raises what `_prepare` does."""
        self._thread.start()
        try:
            self._prepared.result()
        except BaseException:
            self._closed = True
            self._thread.join(JOIN_S)
            raise
        _log.info("listening on %s", self._address)

    # All below runs on the server's thread.

    async def _prepare(self) -> None:
        """What must be done before the first client is accepted."""

    @abstractmethod
    def _has_place(self, host: str) -> bool:
        """Whether a client at address `host` can be served."""

    @abstractmethod
    def _welcome(self, sock: socket.socket, host: str) -> None:
        """Takes over a connected socket that does not block, of a client at address `host`."""

    @abstractmethod
    def _full(self) -> bytes:
        """What a client reads for whom there is no place."""

    @abstractmethod
    async def _end(self) -> None:
        """Disconnects all clients."""

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()
            self._listener.close()
            if isinstance(self._address, UnixAddress):
                remove_socket_file(self._address.path, made=self._made)  # a successor may have its own there
            _log.info("closed %s", self._address)

    async def _serve(self) -> None:
        try:
            await self._prepare()
        except Exception as error:  # for who started the thread
            self._prepared.set_exception(error)
            return
        self._prepared.set_result(None)
        self._hear()
        await self._closing.wait()
        self._loop.remove_reader(self._listener)
        for sock in self._leaving:
            self._loop.remove_reader(sock)
            sock.close()
        await self._end()
        rest = asyncio.all_tasks() - {asyncio.current_task()}  # handlers of clients that have left meanwhile
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _hear(self) -> None:
        if not self._closing.is_set():
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            sock, peer = self._listener.accept()
        except OSError as error:
            # The client is gone already, or no file descriptor is left: then the loop would call again at once.
            _log.debug("cannot accept on %s: %s", self._address, error)
            self._loop.remove_reader(self._listener)
            self._loop.call_later(ACCEPT_PAUSE_S, self._hear)
            return
        sock.setblocking(False)
        host = str(peer[0]) if isinstance(peer, tuple) else ""  # a Unix socket's client has no address
        if not self._has_place(host):
            self._refused += 1
            self._turn_away(sock)
            return
        limit_buffers(sock)
        self._welcome(sock, host)

    def _turn_away(self, sock: socket.socket) -> None:
        """Says why, and reads what the client has sent before it closes: closing over unread bytes would reset the
        connection, and some systems then throw the reason away."""

        def end() -> None:
            if sock in self._leaving:
                self._leaving.discard(sock)
                self._loop.remove_reader(sock)
                with sock, contextlib.suppress(OSError):
                    sock.recv(MAX_CLIENT_LINE_BYTES)

        with contextlib.suppress(OSError):
            sock.send(self._full())
            sock.shutdown(socket.SHUT_WR)
        self._leaving.add(sock)
        if len(self._leaving) > MAX_LEAVING:
            end()
            return
        self._loop.add_reader(sock, end)
        self._loop.call_later(LINGER_S, end)
