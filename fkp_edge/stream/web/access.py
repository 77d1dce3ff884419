"""Who may ask: the host and origin of a request, and its token."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

from fkp_edge.stream.server.access import same_token

__all__ = ["Guard"]

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
MAX_HEADER_CHARACTERS = 300
HOW_TO_SHOW = "this stream asks for its token: the header 'Authorization: Bearer TOKEN', or ?token=TOKEN in the address"


class Guard:
    """Judges each request before its handler sees it."""

    def __init__(self, host: str, *, token: str | None, public: frozenset[str] = frozenset()) -> None:
        """
        Args:
            host: what was bound; its name is allowed in requests.
            token: what a request must carry, if any.
            public: paths that hold nothing of what the camera sees, open without a token.
        """
        name = socket.gethostname().lower()
        self._names = {"localhost", host.lower(), name, f"{name}.local"}
        self._token = token
        self._public = public

    def refusal(self, request: web.Request) -> web.Response | None:
        """The answer to a request that is not allowed; `None` where it is."""
        if self._token is not None:  # who knows it may come by any name and from any page
            is_open = request.path in self._public or same_token(self._given_token(request), self._token)
            return None if is_open else _refuse(401, HOW_TO_SHOW)
        if not self._knows_host(request.host):
            # a page of somebody else whose name was made to point here (DNS rebinding) sends its own name
            return _refuse(403, f"host {request.host[:100]!r} is not this device; open it by address or by its name")
        origin = request.headers.get("Origin")
        if origin is not None and not _same_origin(origin, request):
            return _refuse(
                403, f"a page of {origin[:100]!r} may not read this stream without a token (run with --token-file)"
            )
        if _is_embedded_elsewhere(request):  # a picture or frame of another page: that sends no origin
            return _refuse(403, "a page of another site may not show this without a token (run with --token-file)")
        return None

    def _knows_host(self, host: str) -> bool:
        if len(host) > MAX_HEADER_CHARACTERS:
            return False
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return name in self._names or _is_address(name)

    def _given_token(self, request: web.Request) -> str:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()[:MAX_HEADER_CHARACTERS]
        return request.query.get("token", "")[:MAX_HEADER_CHARACTERS]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _same_origin(origin: str, request: web.Request) -> bool:
    return origin.lower() == f"{request.scheme}://{request.host}".lower()


def _is_embedded_elsewhere(request: web.Request) -> bool:
    """Whether a page of another site asks, and not a person who followed its link (Fetch Metadata, W3C)."""
    headers = request.headers
    return headers.get("Sec-Fetch-Site") == "cross-site" and headers.get("Sec-Fetch-Dest") != "document"


def _refuse(status: int, text: str) -> web.Response:
    # a page of another site may read why its WebSocket was refused, and nothing else
    return web.Response(status=status, text=f"{text}\n", headers={"Access-Control-Allow-Origin": "*"})
