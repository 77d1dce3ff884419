"""Addresses of streams, as `--stream` and `fkp-edge watch` take them."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import ClassVar

from fkp_edge.errors import StreamError

__all__ = [
    "AdapterAddress",
    "Address",
    "HeadAddress",
    "MqttAddress",
    "OpenSeeFaceAddress",
    "OpentrackAddress",
    "OscAddress",
    "PageAddress",
    "TcpAddress",
    "UdpAddress",
    "UnixAddress",
    "VmcAddress",
    "WebAddress",
    "complete_address",
    "parse_address",
    "parse_page_address",
]

KINDS = (
    "tcp://HOST:PORT, ws://HOST:PORT, unix:///PATH, udp://, osc://, vmc://, opentrack:// or openseeface://HOST:PORT, "
    "or mqtt://HOST:PORT"
)
MAX_PATH_BYTES = 100  # sun_path of Linux ends at 107
_NAME = r"[\w-]{1,63}(?:\.[\w-]{1,63})*\.?"  # getaddrinfo raises UnicodeError for other labels
_IPV6 = r"[0-9A-Fa-f:.]+(?:%[\w.-]+)?"
_HOST_PORT = rf"(?:\[(?P<v6>{_IPV6})\]|(?P<name>{_NAME})):(?P<port>[0-9]{{1,5}})"
_SCHEMES = "tcp|udp|osc|vmc|opentrack|openseeface|wss?|mqtts?"
_TARGETS = ("udp", "osc", "vmc", "open", "mqtt")
_USER = r"(?:(?P<user>[\w.-]{1,60})@)?"
_URL = re.compile(rf"(?P<scheme>{_SCHEMES})://{_USER}{_HOST_PORT}(?P<path>/[\w./-]{{0,200}})?", re.ASCII)


@dataclass(frozen=True, slots=True)
class _HostPort:
    host: str
    """Name, IPv4 or IPv6 address, without brackets."""
    port: int
    """0 to 65535; a server that binds 0 gets a free one."""

    scheme: ClassVar[str] = ""

    @property
    def place(self) -> str:
        """HOST:PORT, as in a URL."""
        return f"{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on the same machine reach it. Names other than `localhost` are not looked up."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.place}"


@dataclass(frozen=True, slots=True)
class TcpAddress(_HostPort):
    """Where a TCP stream listens; `str` gives the URL back."""

    scheme: ClassVar[str] = "tcp"


@dataclass(frozen=True, slots=True)
class UdpAddress(_HostPort):
    """Where datagrams are sent to; `str` gives the URL back."""

    scheme: ClassVar[str] = "udp"


@dataclass(frozen=True, slots=True)
class AdapterAddress(UdpAddress):
    """Where datagrams of another program's form are sent to."""


@dataclass(frozen=True, slots=True)
class HeadAddress(AdapterAddress):
    """Where heads are sent to, with their place and measures."""


@dataclass(frozen=True, slots=True)
class OscAddress(AdapterAddress):
    """Where Open Sound Control is sent to; `str` gives the URL back."""

    scheme: ClassVar[str] = "osc"


@dataclass(frozen=True, slots=True)
class VmcAddress(HeadAddress):
    """Where VMC is sent to; `str` gives the URL back."""

    scheme: ClassVar[str] = "vmc"


@dataclass(frozen=True, slots=True)
class OpentrackAddress(HeadAddress):
    """Where opentrack's doubles are sent to; `str` gives the URL back."""

    scheme: ClassVar[str] = "opentrack"


@dataclass(frozen=True, slots=True)
class OpenSeeFaceAddress(HeadAddress):
    """Where OpenSeeFace's faces are sent to; `str` gives the URL back."""

    scheme: ClassVar[str] = "openseeface"


@dataclass(frozen=True, slots=True)
class MqttAddress(_HostPort):
    """A broker; `str` gives the URL back."""

    prefix: str = "fkp-edge"
    """Of all topics."""
    user: str = ""
    secure: bool = False
    """With TLS."""

    def __str__(self) -> str:
        user = f"{self.user}@" if self.user else ""
        return f"{'mqtts' if self.secure else 'mqtt'}://{user}{self.place}/{self.prefix}"


@dataclass(frozen=True, slots=True)
class WebAddress(_HostPort):
    """Where a WebSocket listens; `str` gives the URL back."""

    path: str = "/"
    secure: bool = False
    """With TLS."""

    def __str__(self) -> str:
        return f"{'wss' if self.secure else 'ws'}://{self.place}{'' if self.path == '/' else self.path}"


@dataclass(frozen=True, slots=True)
class PageAddress(WebAddress):
    """Where the live page is served; `str` gives what a browser opens."""

    def __str__(self) -> str:
        return f"{'https' if self.secure else 'http'}://{self.place}/"


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A Unix socket; `str` gives the URL back."""

    path: str

    @property
    def is_loopback(self) -> bool:
        """Always: other machines do not see it."""
        return True

    def __str__(self) -> str:
        return f"unix://{self.path}"


_PLAIN: dict[str, type[TcpAddress | UdpAddress]] = {
    kind.scheme: kind for kind in (TcpAddress, UdpAddress, OscAddress, VmcAddress, OpentrackAddress, OpenSeeFaceAddress)
}
"""Those that are a host and a port."""
Address = TcpAddress | UdpAddress | WebAddress | UnixAddress | MqttAddress


def parse_address(url: str) -> Address:
    """The address in `url`, such as `tcp://127.0.0.1:8765`, `ws://[::1]:8766` or `unix:///run/fkp-edge.sock`.

    Raises:
        StreamError: another kind of address, or a host, port or path that cannot be.
    """
    if url.startswith("unix://"):
        return _unix(url)
    match = _URL.fullmatch(url)
    if match is None or not _fits(match):
        meant = complete_address(url)
        near = f"did you mean {meant}? " if meant != url and _URL.fullmatch(meant) else ""
        raise StreamError(f"stream address {url!r} is not understood; {near}expected {KINDS}")
    port = int(match["port"])
    if port > 65535:
        raise StreamError(f"stream address {url!r} has port {port}; expected 0 to 65535")
    if port == 0 and match["scheme"].startswith(_TARGETS):  # only who listens can take a free one
        raise StreamError(f"stream address {url!r} has port 0; expected 1 to 65535, where somebody listens")
    if match["v6"] is not None and not _is_ipv6(match["v6"]):
        raise StreamError(f"stream address {url!r} has no IPv6 address between its brackets; expected tcp://[::1]:PORT")
    host = match["v6"] or match["name"]
    match match["scheme"]:
        case scheme if scheme in _PLAIN:
            return _PLAIN[scheme](host, port)
        case "mqtt" | "mqtts" as scheme:
            prefix = (match["path"] or "").strip("/") or "fkp-edge"
            return MqttAddress(host, port, prefix, match["user"] or "", secure=scheme == "mqtts")
        case scheme:
            return WebAddress(host, port, match["path"] or "/", secure=scheme == "wss")


DEFAULT_PORT = 8765


def complete_address(text: str) -> str:
    """The URL that a person means who writes less: HOST, HOST:PORT, PORT, or a socket's path.

    What is a URL, or nothing of all that, comes back as it is. A live page's own URL becomes that of its stream.
    """
    if text.startswith("/"):
        return f"unix://{text}"
    scheme, is_url, rest = text.partition("://")
    if is_url and scheme in ("http", "https"):
        return f"{'wss' if scheme == 'https' else 'ws'}://{rest.partition('/')[0]}/stream"
    if is_url and (scheme != "tcp" or re.search(r":\d+$", rest)):
        return text
    place = rest if is_url else text
    if place.isdecimal():
        return f"tcp://127.0.0.1:{place}"
    if place.count(":") > 1 and not place.startswith("["):
        place = f"[{place}]"
    url = (
        f"tcp://{place}"
        if re.search(r"[^:]:\d+$", place) and not place.endswith("]")
        else f"tcp://{place}:{DEFAULT_PORT}"
    )
    return url if _URL.fullmatch(url) else text


def _fits(match: re.Match[str]) -> bool:
    """Whether the scheme has what follows its host: paths and users are not for all."""
    is_mqtt = match["scheme"].startswith("mqtt")
    return (is_mqtt or not match["user"]) and (is_mqtt or match["scheme"].startswith("ws") or not match["path"])


def parse_page_address(text: str) -> PageAddress:
    """The address in `text`, such as `127.0.0.1:8080` or `[::1]:8080`.

    Raises:
        StreamError: it is none.
    """
    try:
        address = parse_address(f"ws://{text}")
    except StreamError:
        address = None
    if not isinstance(address, WebAddress) or address.path != "/":
        raise StreamError(f"page address {text!r} is not understood; expected HOST:PORT, such as 127.0.0.1:8080")
    return PageAddress(address.host, address.port)


def _unix(url: str) -> UnixAddress:
    path = url.removeprefix("unix://")
    if not path or not path.isprintable() or len(path.encode()) > MAX_PATH_BYTES:
        raise StreamError(
            f"stream address {url!r} has no usable path; expected unix:///PATH of at most {MAX_PATH_BYTES} bytes"
        )
    return UnixAddress(path)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
