"""An HTTP server on a thread of its own, with limits that aiohttp leaves to its users.

Connections are accepted here and handed to aiohttp: so they are counted before anything is read from them, their kernel
buffers are small, and a request must have come whole in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import NamedTuple, Self

from aiohttp import web
from aiohttp.typedefs import Middleware

from fkp_edge.errors import StreamError
from fkp_edge.stream.address import WebAddress
from fkp_edge.stream.listening import bound_port, limit_buffers, listen
from fkp_edge.stream.trust import check_reach
from fkp_edge.stream.web.access import Guard, Handler

__all__ = ["WebLimits", "WebServer"]

ACCEPT_PAUSE_S = 0.01
SHUTDOWN_S = 1.0
JOIN_S = 5.0
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 27\r\n\r\ntoo many clients, try later\n"
)

_log = logging.getLogger(__name__)


class WebLimits(NamedTuple):
    """What one peer can take."""

    clients: int = 64
    """Connections at a time."""
    request_s: float = 10.0
    """Until the head of a request has come, from the connection's beginning."""
    upload_bytes: int = 12 * 2**20


class WebServer:
    """Serves `routes` at `address` until closed."""

    def __init__(
        self,
        address: WebAddress,
        routes: Sequence[web.RouteDef],
        *,
        end: Callable[[], None],
        token: str | None = None,
        public: frozenset[str] = frozenset(),
        insecure: bool = False,
        tls: ssl.SSLContext | None = None,
        limits: WebLimits | None = None,
    ) -> None:
        """Listens at once.

        Args:
            address: what to bind; port 0 takes a free one.
            routes: what is served.
            end: called on the server's thread when it closes: what runs on must end then.
            token: what requests must carry.
            public: paths that need no token.
            insecure: allows to bind beyond loopback without a token.
            tls: certificate and key, for https and wss.
            limits: what one peer can take.

        Raises:
            StreamError: the address cannot be bound, or is beyond loopback.
        """
        check_reach(address, token=token, insecure=insecure)
        self._listener = listen(address)
        self._address = replace(address, port=bound_port(self._listener), secure=tls is not None)
        self._routes = routes
        self._guard = Guard(address.host, token=token, public=public)
        self._tls = tls
        self._limits = limits or WebLimits()
        self._end = end
        self._loop = asyncio.new_event_loop()
        self._transports: dict[asyncio.Transport, asyncio.TimerHandle] = {}
        self._arriving: set[asyncio.Task[None]] = set()
        self._refused = 0
        self._lock = threading.Lock()
        self._closed = False
        self._closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="fkp-edge-web", daemon=True)
        self._thread.start()
        _log.info("listening on %s", self._address)

    @property
    def address(self) -> WebAddress:
        """Where it listens, with the port that was bound."""
        return self._address

    @property
    def clients(self) -> int:
        """Connections open now."""
        return sum(not transport.is_closing() for transport in tuple(self._transports))

    @property
    def refused(self) -> int:
        """Connections and requests turned away so far."""
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

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else f"open, {self.clients} clients"
        return f"<WebServer {self._address} {state}>"

    # All below runs on the server's thread.

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()
            self._listener.close()
            _log.info("closed %s", self._address)

    async def _serve(self) -> None:
        app = web.Application(middlewares=[self._middleware()], client_max_size=self._limits.upload_bytes)
        app.add_routes(self._routes)
        self._runner = web.AppRunner(
            app, access_log=None, logger=_silent(), shutdown_timeout=SHUTDOWN_S, lingering_time=SHUTDOWN_S
        )
        await self._runner.setup()
        self._hear()
        await self._closing.wait()
        self._loop.remove_reader(self._listener)
        self._end()
        for task in tuple(self._arriving):
            task.cancel()
        await asyncio.gather(*self._arriving, return_exceptions=True)
        await self._runner.cleanup()
        for transport in self._transports:
            transport.abort()
        await asyncio.sleep(0)  # what was aborted closes its socket in the loop's next turn

    def _middleware(self) -> Middleware:
        @web.middleware
        async def judge(request: web.Request, handler: Handler) -> web.StreamResponse:
            if request.transport is not None and (deadline := self._transports.get(request.transport)):
                deadline.cancel()
            answer = self._guard.refusal(request)
            self._refused += answer is not None
            response = answer or await _answer(handler, request)
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            response.force_close()  # one request a connection: an idle one takes nobody's place
            return response

        return judge

    def _hear(self) -> None:
        if not self._closing.is_set():
            self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except OSError as error:
            _log.debug("cannot accept on %s: %s", self._address, error)
            self._loop.remove_reader(self._listener)
            self._loop.call_later(ACCEPT_PAUSE_S, self._hear)
            return
        sock.setblocking(False)
        self._forget_closed()
        if len(self._transports) + len(self._arriving) >= self._limits.clients:
            self._turn_away(sock)
            return
        limit_buffers(sock)
        task = self._loop.create_task(self._take(sock))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def _turn_away(self, sock: socket.socket) -> None:
        self._refused += 1
        with sock, contextlib.suppress(OSError):
            if self._tls is None:
                sock.send(FULL)

    def _forget_closed(self) -> None:
        for transport in [transport for transport in self._transports if transport.is_closing()]:
            self._transports.pop(transport).cancel()

    async def _take(self, sock: socket.socket) -> None:
        """Hands a connection to aiohttp, and closes it where no request comes in time."""
        timeout_s = self._limits.request_s if self._tls else None
        assert self._runner.server is not None
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                self._runner.server, sock, ssl=self._tls, ssl_handshake_timeout=timeout_s
            )
        except (OSError, ssl.SSLError) as error:
            _log.debug("no TLS with a client of %s: %s", self._address, error)
            return
        # what is written next waits until all before it is in the kernel; with high=0 TLS would wait for ever
        transport.set_write_buffer_limits(high=1, low=0)
        self._transports[transport] = self._loop.call_later(self._limits.request_s, transport.abort)


async def _answer(handler: Handler, request: web.Request) -> web.StreamResponse:
    try:
        return await handler(request)
    except (web.HTTPException, ConnectionError):  # an unknown path; a peer that is gone
        raise
    except Exception:  # a mistake of ours: aiohttp's own words on it go unheard
        _log.exception("cannot answer %s %s", request.method, request.path)
        raise


def _silent() -> logging.Logger:
    """For aiohttp: it logs an error and a traceback for each request that is none, and anybody can send those."""
    logger = logging.Logger("aiohttp.server")  # not the one that a program may have configured
    logger.disabled = True
    return logger
