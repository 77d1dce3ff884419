"""The live page and what belongs to it: `/`, `/live`, `/stream`, `/stream.mjpg`, `/predict`, `/healthz`, `/metrics`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import msgspec
from aiohttp import web

from fkp_edge.core.keypoints import Schema
from fkp_edge.errors import FkpEdgeError
from fkp_edge.stream.protocol.messages import Hello, ObservationMessage, encode, without_clock
from fkp_edge.stream.web.metrics import Histogram, Numbers, render, temperature_c
from fkp_edge.stream.web.pictures import Effect, Find, Grey, JpegEncoder, Photographs, quiet_executor
from fkp_edge.stream.web.places import place_of
from fkp_edge.stream.web.sockets import STALL_S, LineSockets, Newest, Peer

__all__ = ["PUBLIC", "LivePage", "PageParts"]

STATIC = Path(__file__).parent / "static"
FILES = {"/": "page.html", "/page.js": "page.js", "/page.css": "page.css"}
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
PUBLIC = frozenset({"/page.js", "/page.css", "/healthz"})
"""Paths that show nothing of what the camera sees."""
STALE_S = 3.0
"""Without a new frame for so long the device is not healthy."""
UPLOAD_S = 20.0
LOOK_S = 60.0
"""How long a photograph may be looked at, and its answer take; then its connection ends."""
POLL_S = 0.005
BOUNDARY = "fkp-edge-frame"
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


class PageParts(NamedTuple):
    """What a page needs of the run it shows."""

    hello: Callable[[], Hello]
    schema: Schema
    preview: bool
    """Whether pictures are shown, not points alone."""
    effect: Effect | None
    find: Find
    """Faces in a photograph; called on a thread of low priority, one call at a time."""
    stages: Callable[[], Mapping[str, Histogram]]
    clients: Callable[[], Mapping[str, int]]
    """Of the other streams, by address."""


class _View(NamedTuple):
    line: bytes
    message: ObservationMessage
    grey: Grey | None


class LivePage:
    """The handlers, and the newest frame that they show."""

    def __init__(self, parts: PageParts, *, upload_s: float = UPLOAD_S, stall_s: float = STALL_S) -> None:
        """
        Args:
            parts: what is shown.
            upload_s: how long a photograph may take to come.
            stall_s: how long a viewer may take nothing of a picture.
        """
        self._parts = parts
        self._upload_s = upload_s
        self._stall_s = stall_s
        self._views: Newest[_View] = Newest()
        self._lines = LineSockets(parts.hello)
        self._encoder = JpegEncoder(parts.schema, parts.effect)
        self._finder = quiet_executor("predict")
        self._photographs = Photographs(parts.find)
        self._finding = False
        self._viewers = 0
        self._frames = 0
        self._dropped = 0
        self._refused: Callable[[], int] = int
        self._last: ObservationMessage | None = None
        self._last_frame_s: float | None = None

    @property
    def viewers(self) -> int:
        """Pages and pictures that are open; read from any thread."""
        return self._viewers

    def publish(self, message: ObservationMessage, line: bytes, grey: Grey | None) -> None:
        """Shows an observation and the frame it was made of, which nobody writes to again. Waits for nobody."""
        if grey is not None:
            self._frames += 1
            self._dropped += message.dropped
            self._last_frame_s = time.monotonic()
        self._last = message
        self._lines.publish(line)
        self._views.put(_View(line, message, grey if self._parts.preview else None))

    def count_refused(self, refused: Callable[[], int]) -> None:
        """Where `/metrics` learns what the server turned away."""
        self._refused = refused

    def routes(self) -> list[web.RouteDef]:
        """All that is served."""
        return [
            *(web.get(path, self._file) for path in FILES),
            web.get("/live", self._live),
            web.get("/stream", self._lines.handle),
            web.get("/stream.mjpg", self._mjpg),
            web.post("/predict", self._predict),
            web.get("/healthz", self._healthz),
            web.get("/metrics", self._metrics),
        ]

    def close(self) -> None:
        """Ends all viewers and threads. On the server's thread."""
        self._views.close()
        self._lines.close()
        self._encoder.close()
        self._photographs.close()
        self._finder.shutdown(wait=False, cancel_futures=True)

    async def _file(self, request: web.Request) -> web.Response:
        path = STATIC / FILES[request.path]
        return web.Response(body=path.read_bytes(), content_type=TYPES[path.suffix], charset="utf-8", headers=HEADERS)

    async def _live(self, request: web.Request) -> web.StreamResponse:
        peer = Peer()
        await peer.open(request)
        with self._viewing():
            await peer.serve(self._send_views(peer))
        return peer.socket

    @contextmanager
    def _viewing(self) -> Iterator[None]:
        self._viewers += 1
        try:
            yield
        finally:
            self._viewers -= 1

    async def _send_views(self, peer: Peer) -> None:
        parts = self._parts
        page = {"type": "page", "preview": parts.preview, "predict": True, "edges": parts.schema.edges}
        page["effect"] = parts.effect is not None
        hello = self._parts.hello()
        await peer.send(encode(hello).decode())
        await peer.send(msgspec.json.encode(page).decode())
        number = 0
        while True:
            number, view = await self._views.after(number)
            if view is None:
                return
            if without_clock(hello) != without_clock(hello := self._parts.hello()):
                await peer.send(encode(hello).decode())
            jpeg = b""
            if view.grey is not None:
                jpeg = await self._encoder.encode(number, view.grey, view.message, drawn=False)
            await peer.send(len(view.line).to_bytes(4, "little") + view.line + jpeg)

    async def _mjpg(self, request: web.Request) -> web.StreamResponse:
        if not self._parts.preview:
            return web.Response(status=403, text="pictures are off, they show people; start with --preview\n")
        response = web.StreamResponse(
            headers={"Content-Type": f"multipart/x-mixed-replace; boundary={BOUNDARY}", "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        with self._viewing():
            await self._send_pictures(request, response)
        return response

    async def _send_pictures(self, request: web.Request, response: web.StreamResponse) -> None:
        number = 0
        while True:
            number, view = await self._views.after(number)
            if view is None:
                return
            if view.grey is None:
                continue
            jpeg = await self._encoder.encode(number, view.grey, view.message, drawn=True)
            head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            await self._hand_over(request, response, head.encode() + jpeg + b"\r\n")

    async def _hand_over(self, request: web.Request, response: web.StreamResponse, data: bytes) -> None:
        """Writes `data` and waits until the kernel has taken everything: the next picture is the newest then.

        Raises:
            ConnectionError: the viewer is gone, or takes nothing.
        """
        try:
            async with asyncio.timeout(self._stall_s):
                await response.write(data)
                while (transport := request.transport) is not None and transport.get_write_buffer_size():
                    await asyncio.sleep(POLL_S)
        except TimeoutError:
            place_of(request).abort()
            raise ConnectionAbortedError(f"the viewer took nothing for {self._stall_s:g} s") from None
        if request.transport is None:
            raise ConnectionResetError("the viewer is gone")

    async def _predict(self, request: web.Request) -> web.Response:
        if self._finding:
            return web.Response(
                status=503, headers={"Retry-After": "1"}, text="another photograph is being looked at; try again\n"
            )
        self._finding = True
        place = place_of(request)
        place.may_stay = True
        place.arm(self._upload_s + LOOK_S)
        try:
            async with asyncio.timeout(self._upload_s):
                coded = await request.read()  # bounded by the server
            loop = asyncio.get_running_loop()
            faces = await loop.run_in_executor(self._finder, self._photographs.faces, coded)
        except FkpEdgeError as error:
            return web.Response(status=415, text=f"{error}\n")
        except TimeoutError:
            return web.Response(status=408, text=f"the photograph did not come within {self._upload_s:g} s\n")
        finally:
            self._finding = False
        return _json({"points": self._parts.schema.names, "faces": faces})

    async def _healthz(self, request: web.Request) -> web.Response:  # noqa: ARG002 - a handler's interface
        age_s = self._frame_age_s()
        stale = age_s is None or age_s > STALE_S
        status = "stale" if stale else "ok"
        return _json({"status": status, "frame_age_s": age_s and round(age_s, 3)}, status=503 if stale else 200)

    async def _metrics(self, request: web.Request) -> web.Response:  # noqa: ARG002 - a handler's interface
        numbers = Numbers(
            frames=self._frames,
            dropped=self._dropped,
            state=self._last.state if self._last else None,
            frame_age_s=self._frame_age_s(),
            clients={**self._parts.clients(), "live page": self._viewers + self._lines.clients},
            refused=self._refused(),
            stages=self._parts.stages(),
            temperature_c=temperature_c(),
        )
        return web.Response(text=render(numbers), content_type="text/plain", headers={"Cache-Control": "no-store"})

    def _frame_age_s(self) -> float | None:
        return None if self._last_frame_s is None else time.monotonic() - self._last_frame_s


def _json(value: object, *, status: int = 200) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(value),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
