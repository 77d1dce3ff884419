"""All the streams of one run: opened together, published to together, closed together."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

from fkp_edge.core.files import Closing
from fkp_edge.stream.protocol.address import (
    Address,
    MqttAddress,
    OpenSeeFaceAddress,
    OpentrackAddress,
    OscAddress,
    UdpAddress,
    VmcAddress,
    WebAddress,
)
from fkp_edge.stream.protocol.messages import Hello, ObservationMessage, encode
from fkp_edge.stream.server.access import check_certificate
from fkp_edge.stream.server.line_server import DatagramSender, LineServer, UdpSender

if TYPE_CHECKING:
    from fkp_edge.stream.web import LineSockets

__all__ = ["Access", "Publishers"]

Publish = Callable[[ObservationMessage, bytes], None]


class Access(NamedTuple):
    """Who may read, and how."""

    token: str | None = None
    """What clients must show."""
    insecure: bool = False
    """Whether others may read without a token."""
    tls: ssl.SSLContext | None = None
    """Certificate and key for `wss://`."""
    mqtt_password: str | None = None


class Publishers(Closing):
    """Servers and senders on the given addresses."""

    def __init__(self, addresses: Sequence[Address], hello: Callable[[], Hello], access: Access | None = None) -> None:
        """Opens all, or none.

        Args:
            addresses: what to bind or to send to.
            hello: called for each client, on a server's thread; must return quickly.
            access: who may read.

        Raises:
            StreamError: an address cannot be used, or is beyond loopback without a token or `insecure`.
        """
        self._hello = hello
        self._access = access or Access()
        self._servers: dict[Address, LineServer | LineSockets] = {}
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

    @property
    def clients(self) -> dict[str, int]:
        """Clients of each server now, by its address."""
        return {str(address): server.clients for address, server in self._servers.items()}

    @property
    def are_served(self) -> bool:
        """Whether there is a client, where there is a server, and all have the newest observation."""
        if not self._servers:
            return True
        servers = self._servers.values()
        return any(server.clients for server in servers) and all(server.is_served for server in servers)

    def publish(self, message: ObservationMessage, line: bytes | None = None) -> None:
        """Hands `message` to every stream, as `line` where it is encoded already; waits for none. From one thread."""
        line = line or encode(message)
        for publish in self._publishing:
            publish(message, line)

    def close(self) -> None:
        """Twice is fine."""
        self._opened.close()

    def _open(self, address: Address, opened: ExitStack) -> Address:
        if isinstance(address, UdpAddress):
            sender = opened.enter_context(self._open_sender(address))
            self._publishing.append(lambda message, _: sender.publish(message))
            return sender.address
        if isinstance(address, MqttAddress):
            from fkp_edge.stream.adapters.mqtt import MqttSender  # needs paho-mqtt

            access = self._access
            client = MqttSender(address, self._hello, password=access.mqtt_password, insecure=access.insecure)
            self._publishing.append(opened.enter_context(client).publish)
            return address
        if isinstance(address, WebAddress):
            return self._open_web_socket(address, opened)
        server = opened.enter_context(
            LineServer(address, self._hello, token=self._access.token, insecure=self._access.insecure)
        )
        self._servers[server.address] = server
        self._publishing.append(lambda _, line: server.publish(line))
        return server.address

    def _open_sender(self, address: UdpAddress) -> DatagramSender:
        if isinstance(address, OpentrackAddress):
            from fkp_edge.stream.adapters.opentrack import OpentrackSender

            return OpentrackSender(address, insecure=self._access.insecure)
        if isinstance(address, OscAddress):
            from fkp_edge.stream.adapters.osc import OscSender  # needs python-osc

            return OscSender(address, self._hello, insecure=self._access.insecure)
        if isinstance(address, VmcAddress):
            from fkp_edge.stream.adapters.vmc import VmcSender  # needs python-osc

            return VmcSender(address, insecure=self._access.insecure)
        if isinstance(address, OpenSeeFaceAddress):
            from fkp_edge.stream.adapters.openseeface import OpenSeeFaceSender

            return OpenSeeFaceSender(address, self._hello, insecure=self._access.insecure)
        return UdpSender(address, self._hello, insecure=self._access.insecure)

    def _open_web_socket(self, address: WebAddress, opened: ExitStack) -> Address:
        from fkp_edge.stream.web import LineSockets, WebServer  # needs aiohttp

        check_certificate(address, self._access.tls)
        sockets = LineSockets(self._hello)
        server = opened.enter_context(
            WebServer(
                address,
                sockets.routes(address.path),
                end=sockets.close,
                token=self._access.token,
                insecure=self._access.insecure,
                tls=self._access.tls if address.secure else None,
            )
        )
        self._publishing.append(lambda _, line: sockets.publish(line))
        self._servers[server.address] = sockets
        return server.address

    def __repr__(self) -> str:
        return f"<Publishers {' '.join(map(str, self._addresses))}>"
