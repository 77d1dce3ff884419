"""WebSockets and the live page. Needs aiohttp: `pip install 'fkp-edge[web]'`."""

from __future__ import annotations

from fkp_edge.errors import MissingPartError

try:
    import aiohttp as _aiohttp  # noqa: F401 - asked for here so that the message says what to install
except ImportError as error:
    raise MissingPartError(
        f"WebSockets and the live page need aiohttp ({error}); pip install 'fkp-edge[web]', "
        "or in a clone: pip install -e '.[web]'"
    ) from error

from fkp_edge.stream.web.metrics import Histogram
from fkp_edge.stream.web.page import PUBLIC, LivePage, PageParts
from fkp_edge.stream.web.server import WebServer
from fkp_edge.stream.web.sockets import LineSockets

__all__ = ["PUBLIC", "Histogram", "LineSockets", "LivePage", "PageParts", "WebServer"]
