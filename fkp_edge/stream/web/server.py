"""An HTTP server on a thread of its own, with limits that aiohttp leaves to its users.

Connections are accepted in `accepting.py` and handed to aiohttp here: so they are counted before anything is read from
them, their kernel buffers are small, and a request must have come whole in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Middleware

from fkp_edge.stream.protocol.address import WebAddress
from fkp_edge.stream.server.base import AcceptingServer
from fkp_edge.stream.web.access import Guard, Handler

__all__ = ["WebLimits", "WebServer"]

SHUTDOWN_S = 1.0
READ_BYTES = 16 * 1024
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


class WebServer(AcceptingServer[WebAddress]):
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
        limits = limits or WebLimits()
        super().__init__(
            replace(address, secure=tls is not None),
            thread="fkp-edge-web",
            most=limits.clients,
            token=token,
            insecure=insecure,
        )
        self._routes = routes
        self._guard = Guard(address.host, token=token, public=public)
        self._tls = tls
        self._limits = limits
        self._end_handlers = end
        self._transports: dict[asyncio.Transport, asyncio.TimerHandle] = {}
        self._arriving: set[asyncio.Task[None]] = set()
        self._start()

    @property
    def clients(self) -> int:
        """Connections open now."""
        return sum(not transport.is_closing() for transport in tuple(self._transports))

    # All below runs on the server's thread.

    async def _prepare(self) -> None:
        app = web.Application(middlewares=[self._middleware()], client_max_size=self._limits.upload_bytes)
        app.add_routes(self._routes)
        self._runner = web.AppRunner(
            app, access_log=None, logger=_silent(), shutdown_timeout=SHUTDOWN_S, lingering_time=SHUTDOWN_S
        )
        await self._runner.setup()

    async def _end(self) -> None:
        self._end_handlers()
        for task in tuple(self._arriving):
            task.cancel()
        await asyncio.gather(*self._arriving, return_exceptions=True)
        await self._runner.cleanup()
        for transport in tuple(self._transports):
            # the TLS transport of Python 3.11.2, Debian 12's, raises where its connection is lost already
            with contextlib.suppress(AttributeError):
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

    def _count(self) -> int:
        for transport in [transport for transport in self._transports if transport.is_closing()]:
            self._transports.pop(transport).cancel()
        return len(self._transports) + len(self._arriving)

    def _welcome(self, sock: socket.socket) -> None:
        task = self._loop.create_task(self._take(sock))
        self._arriving.add(task)
        task.add_done_callback(self._arriving.discard)

    def _full(self) -> bytes:
        return FULL if self._tls is None else b""

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
        # asyncio asks for 256 KiB at a time and gives nearly all of it back: malloc's heap fills with holes, 0.5 kB a
        # request. A name that asyncio does not document; where it has no effect, only the holes come back.
        transport.max_size = READ_BYTES  # type: ignore[attr-defined]
        # what is written next waits until all before it is in the kernel; with high=0 TLS would wait for ever
        transport.set_write_buffer_limits(high=1, low=0)
        self._transports[transport] = self._loop.call_later(self._limits.request_s, transport.abort)


async def _answer(handler: Handler, request: web.Request) -> web.StreamResponse:
    try:
        return await handler(request)
    except (web.HTTPException, ConnectionError):  # an unknown path; a peer that is gone
        raise
    except web.RequestPayloadError:  # chunks or a compression that are none
        return web.Response(status=400, text="the request's body is damaged; expected a whole one\n")
    except Exception:  # a mistake of ours: aiohttp's own words on it go unheard
        _log.exception("cannot answer %s %s", request.method, request.path)
        raise


def _silent() -> logging.Logger:
    """For aiohttp: it logs an error and a traceback for each request that is none, and anybody can send those."""
    logger = logging.Logger("aiohttp.server")  # not the one that a program may have configured
    logger.disabled = True
    return logger
