"""What a run is told of streams, read into what opens them. Nothing is opened here."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from importlib import import_module
from itertools import combinations
from pathlib import Path

from fkp_edge.errors import InputError, StreamError
from fkp_edge.stream.protocol.address import (
    Address,
    MqttAddress,
    OscAddress,
    TcpAddress,
    UnixAddress,
    VmcAddress,
    WebAddress,
    parse_address,
)
from fkp_edge.stream.server.access import check_certificate, check_reach, read_password, read_tls, read_token
from fkp_edge.stream.server.publishers import Access

__all__ = ["check_addresses", "read_stream_options"]

PARTS = {
    WebAddress: "fkp_edge.stream.web",
    OscAddress: "fkp_edge.stream.adapters.osc",
    VmcAddress: "fkp_edge.stream.adapters.vmc",
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
