"""All the streams of one run: opened together, published to together, closed together."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from fkp_edge.errors import StreamError
from fkp_edge.stream.address import Address, UdpAddress, WebAddress
from fkp_edge.stream.messages import Hello, ObservationMessage, encode
from fkp_edge.stream.server import LineServer
from fkp_edge.stream.udp import UdpSender

__all__ = ["Outputs"]

Publish = Callable[[ObservationMessage, bytes], None]


class Outputs:
    """Servers and senders on the given addresses."""

    def __init__(
        self,
        addresses: Sequence[Address],
        hello: Callable[[], Hello],
        *,
        token: str | None = None,
        insecure: bool = False,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Opens all, or none.

        Args:
            addresses: what to bind or to send to.
            hello: called for each client, on a server's thread; must return quickly.
            token: what clients must show.
            insecure: allows what others can read without a token.
            tls: certificate and key for `wss://`.

        Raises:
            StreamError: an address cannot be used, or is beyond loopback without `token` or `insecure`.
        """
        self._hello = hello
        self._token = token
        self._insecure = insecure
        self._tls = tls
        self._publishing: list[Publish] = []
        self._addresses: list[Address] = []
        with ExitStack() as opened:
            for address in addresses:
                self._addresses.append(self._open(address, opened))
            self._opened = opened.pop_all()

    @property
    def addresses(self) -> tuple[Address, ...]:
        """In the order given, with the ports that were bound."""
        return tuple(self._addresses)

    def publish(self, message: ObservationMessage) -> None:
        """Hands `message` to every stream; waits for none. From one thread."""
        line = encode(message)
        for publish in self._publishing:
            publish(message, line)

    def close(self) -> None:
        """Twice is fine."""
        self._opened.close()

    def _open(self, address: Address, opened: ExitStack) -> Address:
        if isinstance(address, UdpAddress):
            sender = opened.enter_context(UdpSender(address, self._hello, insecure=self._insecure))
            self._publishing.append(lambda message, _: sender.publish(message))
            return sender.address
        if isinstance(address, WebAddress):
            return self._open_web_socket(address, opened)
        server = opened.enter_context(LineServer(address, self._hello, token=self._token, insecure=self._insecure))
        self._publishing.append(lambda _, line: server.publish(line))
        return server.address

    def _open_web_socket(self, address: WebAddress, opened: ExitStack) -> Address:
        from fkp_edge.stream.web import LineSockets, WebServer  # needs aiohttp

        if address.secure and self._tls is None:
            raise StreamError(f"{address} needs a certificate; name it with --tls-cert FILE --tls-key FILE")
        sockets = LineSockets(self._hello)
        server = opened.enter_context(
            WebServer(
                address,
                sockets.routes(address.path),
                end=sockets.close,
                token=self._token,
                insecure=self._insecure,
                tls=self._tls if address.secure else None,
            )
        )
        self._publishing.append(lambda _, line: sockets.publish(line))
        return server.address

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Outputs {' '.join(map(str, self._addresses))}>"
