"""The client's side of `ws://` and `wss://`. Needs aiohttp: `pip install 'fkp-edge[web]'`."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from typing import Any

from fkp_edge.errors import MissingPartError, StreamError
from fkp_edge.stream.client.transports import RECEIVE_BUFFER_BYTES, LostError, silence
from fkp_edge.stream.protocol.address import WebAddress
from fkp_edge.stream.protocol.messages import MAX_SERVER_LINE_BYTES, printable

try:
    import aiohttp
except ImportError as error:
    raise MissingPartError(
        f"ws:// and wss:// need aiohttp ({error}); pip install 'fkp-edge[web]', or in a clone: pip install -e '.[web]'"
    ) from error

__all__ = ["WebSocketTransport"]

TLS_END_S = 0.05
"""A TLS connection closes its socket some turns of the loop later (aiohttp's documentation, "Graceful shutdown")."""


class WebSocketTransport:
    """A WebSocket read from one thread at a time, on a loop that runs only while something is asked of it."""

    def __init__(self, address: WebAddress, *, token: str | None, timeout_s: float) -> None:
        """Connects.

        Raises:
            LostError: nobody answers there.
            StreamError: the server refuses.
        """
        self._address = address
        self._timeout_s = timeout_s
        self._loop = asyncio.new_event_loop()
        self._lock = threading.Lock()
        self._reading: asyncio.Task[bytes | None] | None = None
        self._sending: set[asyncio.Task[None]] = set()
        self._closed = False
        try:
            self._session, self._socket = self._loop.run_until_complete(self._open(token))
        except BaseException:
            self._loop.close()
            raise

    def next_line(self) -> bytes | None:
        with self._lock:
            if self._closed:
                return None
            self._reading = self._loop.create_task(self._receive())
        try:
            return self._loop.run_until_complete(self._reading)
        except asyncio.CancelledError:  # closed by another thread
            return None
        finally:
            with self._lock:
                self._reading = None
                if self._closed:
                    self._dispose()

    def send(self, line: bytes) -> None:
        """Sends a line; while another thread reads, that thread's loop does so, and nobody waits for it."""
        text = line.decode()
        with self._lock:
            if self._closed:
                raise LostError(f"cannot send to {self._address}: it is closed; connect again")
            if self._reading is not None:
                self._loop.call_soon_threadsafe(self._send_soon, text)
                return
            try:
                self._loop.run_until_complete(asyncio.wait_for(self._socket.send_str(text), self._timeout_s))
            except OSError as error:  # a time-out is one
                why = str(error) or f"it took nothing for {self._timeout_s:g} s"
                raise LostError(f"cannot send to {self._address}: {why}; connect again") from error

    def _send_soon(self, text: str) -> None:
        """On the loop; where the connection is lost, who reads is told."""

        async def send() -> None:
            with contextlib.suppress(OSError):
                await self._socket.send_str(text)

        task = self._loop.create_task(send())
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def close(self) -> None:
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._reading is None:
                self._dispose()
            else:
                self._loop.call_soon_threadsafe(self._reading.cancel)

    async def _open(self, token: str | None) -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]:
        # a context of its own: aiohttp's has read SSL_CERT_FILE when it was imported
        tls = ssl.create_default_context() if self._address.secure else True
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(socket_factory=_small_socket, ssl=tls),
            timeout=aiohttp.ClientTimeout(total=self._timeout_s),
        )
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        try:
            url = str(self._address)
            return session, await session.ws_connect(url, headers=headers, max_msg_size=MAX_SERVER_LINE_BYTES)
        except BaseException as error:
            await self._end(session)
            if isinstance(error, aiohttp.ClientError | OSError | ValueError):
                raise self._refusal(error) from _cause(error)
            raise

    def _refusal(self, error: Exception) -> StreamError:
        if isinstance(error, aiohttp.WSServerHandshakeError):
            if error.status == 401:
                return StreamError(f"{self._address} asks for a token; expected the one of its --token-file")
            text = f"{self._address} answered {error.status}; expected a WebSocket of fkp-edge there"
            return LostError(text) if error.status == 503 else StreamError(text)
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return StreamError(
                f"the certificate of {self._address} is not trusted ({printable(str(error.certificate_error))}); "
                "name its authority in SSL_CERT_FILE"
            )
        if isinstance(_cause(error), ConnectionRefusedError):
            return LostError(
                f"nothing listens on {self._address} (connection refused); "
                "start fkp-edge run, or name its --stream address"
            )
        if isinstance(error, TimeoutError):
            return LostError(
                f"no answer from {self._address} within {self._timeout_s:g} s; is the device on, and on this network?"
            )
        return LostError(f"cannot connect to {self._address}: {printable(str(error))}; expected a WebSocket there")

    async def _receive(self) -> bytes | None:
        try:
            message = await self._socket.receive(self._timeout_s)
        except TimeoutError:
            raise silence(self._address, self._timeout_s) from None
        if message.type is aiohttp.WSMsgType.TEXT:
            return bytes(message.data.encode())
        if message.type is aiohttp.WSMsgType.ERROR:
            raise LostError(f"lost the connection to {self._address}: {message.data}; connect again")
        if message.type is aiohttp.WSMsgType.BINARY:
            raise StreamError(f"{self._address} sent a binary message; expected JSON as text")
        return None

    def _dispose(self) -> None:
        if not self._loop.is_closed():
            with contextlib.suppress(OSError, aiohttp.ClientError):
                self._loop.run_until_complete(self._close())
            self._loop.close()

    async def _close(self) -> None:
        sending = tuple(self._sending)
        for task in sending:
            task.cancel()
        await asyncio.gather(*sending, return_exceptions=True)
        await self._socket.close()
        await self._end(self._session)

    async def _end(self, session: aiohttp.ClientSession) -> None:
        await session.close()
        await asyncio.sleep(TLS_END_S if self._address.secure else 0)


def _small_socket(place: Any) -> socket.socket:
    """With a small receive buffer: what the kernel holds while the program sleeps is stale when it wakes up."""
    family, kind, protocol = place[:3]
    sock = socket.socket(family, kind, protocol)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER_BYTES)
    return sock


def _cause(error: BaseException) -> BaseException:
    return error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
