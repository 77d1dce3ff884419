"""All the streams of one run: opened together, published to together, closed together."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib import import_module
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fkp_edge.core.files import Closing
from fkp_edge.errors import InputError, StreamError
from fkp_edge.stream.protocol.address import (
    Address,
    MqttAddress,
    OpenSeeFaceAddress,
    OpentrackAddress,
    OscAddress,
    TcpAddress,
    UdpAddress,
    UnixAddress,
    VmcAddress,
    WebAddress,
    parse_address,
)
from fkp_edge.stream.protocol.messages import Hello, ObservationMessage, encode
from fkp_edge.stream.server.access import check_certificate, check_reach, read_password, read_tls, read_token
from fkp_edge.stream.server.line_server import DatagramSender, LineServer, UdpSender

if TYPE_CHECKING:
    from fkp_edge.stream.web import LineSockets

__all__ = ["Access", "Publishers", "check_addresses", "read_stream_options"]

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
            from fkp_edge.stream.adapters.heads import OpentrackSender

            return OpentrackSender(address, insecure=self._access.insecure)
        if isinstance(address, OscAddress):
            from fkp_edge.stream.adapters.osc import OscSender  # needs python-osc

            return OscSender(address, self._hello, insecure=self._access.insecure)
        if isinstance(address, VmcAddress):
            from fkp_edge.stream.adapters.osc import VmcSender  # needs python-osc

            return VmcSender(address, insecure=self._access.insecure)
        if isinstance(address, OpenSeeFaceAddress):
            from fkp_edge.stream.adapters.heads import OpenSeeFaceSender

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


PARTS = {
    WebAddress: "fkp_edge.stream.web",
    OscAddress: "fkp_edge.stream.adapters.osc",
    VmcAddress: "fkp_edge.stream.adapters.osc",
    MqttAddress: "fkp_edge.stream.adapters.mqtt",
}
"""What needs an extra, and the module whose import asks for it."""
MADE_AT_START = Path("/run/fkp-edge")
"""systemd makes the service's folder for sockets when it starts, and removes it when it stops."""


def read_stream_options(
    urls: Sequence[str],
    *,
    token_file: Path | None = None,
    insecure: bool = False,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    mqtt_password_file: Path | None = None,
) -> tuple[tuple[Address, ...], Access]:
    """The addresses that `urls` name, and who may read.

    Args:
        urls: of `--stream`.
        token_file: holds what readers must show.
        insecure: whether others may read without a token.
        tls_cert: certificate for `wss://` and a page over https; needs its key.
        tls_key: its key.
        mqtt_password_file: holds the password of `mqtt://USER@`.

    Raises:
        FkpEdgeError: an address, token, certificate or key that cannot be used.
    """
    addresses = tuple(parse_address(url) for url in urls)
    token = read_token(token_file) if token_file else None
    if (tls_cert is None) != (tls_key is None):
        raise InputError("a certificate and its key go together; expected both --tls-cert FILE and --tls-key FILE")
    tls = read_tls(tls_cert, tls_key) if tls_cert and tls_key else None
    password = read_password(mqtt_password_file) if mqtt_password_file else None
    access = Access(token, insecure, tls, password)
    check_addresses(addresses, access)
    return addresses, access


def check_addresses(addresses: Sequence[Address], access: Access) -> None:
    """Refuses what cannot be opened, as far as that can be said without opening it.

    Raises:
        StreamError: an address is beyond loopback, lacks its certificate or folder, or is there twice.
        MissingPartError: an address needs an extra that is not installed.
    """
    for address in addresses:
        check_reach(address, token=access.token, insecure=access.insecure)
        check_certificate(address, access.tls)
        for kind, module in PARTS.items():
            if isinstance(address, kind):
                import_module(module)
        if isinstance(address, UnixAddress):
            _check_folder(address)
    for one, other in combinations(addresses, 2):
        if _meet(one, other):
            raise StreamError(f"{one} and {other} listen at the same place; name another port or path for one of them")


def _check_folder(address: UnixAddress) -> None:
    folder = Path(address.path).parent
    if not folder.is_dir() and folder != MADE_AT_START:
        raise StreamError(f"cannot listen on {address}: there is no folder {folder}; make it, or name another path")


def _meet(one: Address, other: Address) -> bool:
    """Whether only one of the two can be bound; a free port (0) always can."""
    if isinstance(one, UnixAddress):
        return one == other
    if not (isinstance(one, TcpAddress | WebAddress) and isinstance(other, TcpAddress | WebAddress)):
        return False
    same = one.host.lower() == other.host.lower() or _covers(one.host, other.host) or _covers(other.host, one.host)
    return one.port == other.port != 0 and same


def _covers(host: str, other: str) -> bool:
    """Whether `host` stands for all of this machine's addresses, `other` among them."""
    try:
        every, address = ipaddress.ip_address(host), ipaddress.ip_address(other)
    except ValueError:
        return False
    return every.is_unspecified and every.version == address.version
