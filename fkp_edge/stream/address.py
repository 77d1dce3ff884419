"""Addresses of streams, as `--stream` and `fkp-edge watch` take them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from fkp_edge.errors import StreamError

__all__ = ["TcpAddress", "parse_address"]

_NAME = r"[\w-]{1,63}(?:\.[\w-]{1,63})*\.?"  # getaddrinfo raises UnicodeError for other labels
_IPV6 = r"[0-9A-Fa-f:.]+(?:%[\w.-]+)?"
_TCP = re.compile(rf"tcp://(?:\[(?P<v6>{_IPV6})\]|(?P<name>{_NAME})):(?P<port>[0-9]{{1,5}})", re.ASCII)


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """Where a TCP stream listens; `str` gives the URL back."""

    host: str
    """Name, IPv4 or IPv6 address, without brackets."""
    port: int
    """0 to 65535; a server that binds 0 gets a free one."""

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on the same machine reach it. Names other than `localhost` are not looked up."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    def __str__(self) -> str:
        return f"tcp://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


def parse_address(url: str) -> TcpAddress:
    """The address in `url`, such as `tcp://127.0.0.1:8765` or `tcp://[::1]:8765`.

    Raises:
        StreamError: another kind of address, or a host or port that cannot be.
    """
    if url.startswith(("unix://", "ws://", "udp://")):
        raise StreamError(f"stream address {url!r} is not supported by this version; expected tcp://HOST:PORT")
    match = _TCP.fullmatch(url)
    if match is None:
        raise StreamError(f"stream address {url!r} is not understood; expected tcp://HOST:PORT")
    port = int(match["port"])
    if port > 65535:
        raise StreamError(f"stream address {url!r} has port {port}; expected 0 to 65535")
    if match["v6"] is not None and not _is_ipv6(match["v6"]):
        raise StreamError(f"stream address {url!r} has no IPv6 address between its brackets; expected tcp://[::1]:PORT")
    return TcpAddress(match["v6"] or match["name"], port)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
