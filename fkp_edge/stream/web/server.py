"""An HTTP server on a thread of its own, with limits that aiohttp leaves to its users.

Connections are accepted in `accepting.py` and handed to aiohttp here: so they are counted before anything is read from
them, their kernel buffers are small, and a request must have come whole in time.
"""

from __future__ import annotations

import asyncio
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
from fkp_edge.stream.web.places import Connection, Place, Places, place_of

__all__ = ["WebLimits", "WebServer"]

SHUTDOWN_S = 1.0
IDLE_S = 1.0
"""How long aiohttp keeps a connection after an answer that we could not close it with."""
READ_BYTES = 16 * 1024
FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 27\r\n\r\ntoo many clients, try later\n"
)

_log = logging.getLogger(__name__)


class WebLimits(NamedTuple):
    """What peers can take."""

    clients: int = 64
    """Connections at a time."""
    per_address: int = 32
    """Of these, connections of one address."""
    streams: int = 56
    """Of these, streams: WebSockets and moving pictures. The others stay free for requests."""
    request_s: float = 10.0
    """From a connection's beginning until it must be closed, unless it is a stream or uploads a photograph."""
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
            token=token,
            insecure=insecure,
        )
        self._routes = routes
        self._guard = Guard(address.host, token=token, public=public)
        self._tls = tls
        self._limits = limits
        self._end_handlers = end
        self._places = Places(clients=limits.clients, per_address=limits.per_address, streams=limits.streams)
        self._start()

    @property
    def clients(self) -> int:
        """Connections open now."""
        return len(self._places)

    # All below runs on the server's thread.

    async def _prepare(self) -> None:
        app = web.Application(middlewares=[self._middleware()], client_max_size=self._limits.upload_bytes)
        app.add_routes(self._routes)
        app.on_response_prepare.append(self._begin)
        self._runner = web.AppRunner(app, shutdown_timeout=SHUTDOWN_S)
        await self._runner.setup()

    async def _end(self) -> None:
        self._end_handlers()
        arriving = [place.arrival for place in self._places if place.arrival is not None]
        for task in arriving:
            task.cancel()
        await asyncio.gather(*arriving, return_exceptions=True)
        await self._runner.cleanup()
        self._places.abort_all()
        await asyncio.sleep(0)  # what was aborted closes its socket in the loop's next turn

    def _middleware(self) -> Middleware:
        @web.middleware
        async def judge(request: web.Request, handler: Handler) -> web.StreamResponse:
            answer = self._guard.refusal(request)
            self._refused += answer is not None
            try:
                response = answer or self._too_large(request) or await _answer(handler, request)
            finally:
                if (place := place_of(request)).is_stream:  # which is over: the rest must be taken in time
                    place.arm(self._limits.request_s)
            response.headers.setdefault("X-Content-Type-Options", "nosniff")
            return response

        return judge

    def _too_large(self, request: web.Request) -> web.Response | None:
        size, most = request.content_length or 0, self._limits.upload_bytes
        if size <= most:
            return None
        return web.Response(status=413, text=f"the body has {size} bytes; expected at most {most}\n")

    async def _begin(self, request: web.Request, response: web.StreamResponse) -> None:
        """Before the head of any answer is sent, also of those that aiohttp gives by itself."""
        if isinstance(response, web.Response):
            response.force_close()  # one request a connection: an idle one takes nobody's place
            return
        if not self._places.have_room_for_a_stream:
            self._refused += 1
            raise web.HTTPServiceUnavailable(text="too many streams are watched, try later\n")
        place = place_of(request)
        place.is_stream = place.may_stay = True
        place.disarm()

    def _has_place(self, host: str) -> bool:
        return self._places.has_room(host)

    def _welcome(self, sock: socket.socket, host: str) -> None:
        place = Place(host, self._loop)
        self._places.take(place)
        place.arm(self._limits.request_s)
        place.arrival = self._loop.create_task(self._take(sock, place))

    def _full(self) -> bytes:
        return FULL if self._tls is None else b""

    async def _take(self, sock: socket.socket, place: Place) -> None:
        """Hands a connection to aiohttp."""
        timeout_s = self._limits.request_s if self._tls else None
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: self._connection(place), sock, ssl=self._tls, ssl_handshake_timeout=timeout_s
            )
        except (OSError, ssl.SSLError) as error:
            _log.debug("no TLS with a client of %s: %s", self._address, error)
            self._places.leave(place)
            return
        except asyncio.CancelledError:
            self._places.leave(place)
            raise
        finally:
            place.arrival = None
        # asyncio asks for 256 KiB at a time and gives nearly all of it back: malloc's heap fills with holes, 0.5 kB a
        # request. A name that asyncio does not document; where it has no effect, only the holes come back.
        transport.max_size = READ_BYTES  # type: ignore[attr-defined]
        # what is written next waits until all before it is in the kernel; with high=0 TLS would wait for ever
        transport.set_write_buffer_limits(high=1, low=0)

    def _connection(self, place: Place) -> Connection:
        server = self._runner.server
        assert server is not None
        return Connection(
            server,
            place,
            self._places.leave,
            loop=self._loop,
            access_log=None,
            logger=_silent(),
            keepalive_timeout=IDLE_S,
            lingering_time=self._limits.request_s,  # a client that still sends its body reads our answer afterwards
        )


async def _answer(handler: Handler, request: web.Request) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as refusal:  # an unknown path or method; left to aiohttp, it would keep the connection
        allow = {"Allow": refusal.headers["Allow"]} if "Allow" in refusal.headers else {}
        return web.Response(status=refusal.status, reason=refusal.reason, text=refusal.text, headers=allow)
    except ConnectionError:  # a peer that is gone
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
