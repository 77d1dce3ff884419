"""Who may read: tokens, bound addresses and TLS."""

from __future__ import annotations

import hmac
import ssl
from pathlib import Path

from fkp_edge.errors import StreamError
from fkp_edge.stream.protocol.address import Address, MqttAddress, UdpAddress, WebAddress

__all__ = ["check_certificate", "check_reach", "read_password", "read_tls", "read_token", "same_token"]

MIN_CHARACTERS = 16
MAX_CHARACTERS = 200
HOW_TO_MAKE = "python3 -c 'import secrets; print(secrets.token_urlsafe(24))' > token; chmod 600 token"


def read_token(path: Path) -> str:
    """The token in the file `path`, without the white space around it.

    Raises:
        StreamError: the file cannot be read, or its token is too short or has other characters than ASCII's.
    """
    try:
        with path.open("rb") as file:
            content = file.read(4 * MAX_CHARACTERS)
    except OSError as error:
        raise StreamError(f"cannot read token file {path}: {error.strerror}; make one with {HOW_TO_MAKE}") from error
    token = content.decode("ascii", errors="replace").strip()
    if not (MIN_CHARACTERS <= len(token) <= MAX_CHARACTERS and token.isascii() and token.isprintable()):
        raise StreamError(
            f"token file {path} holds no token of {MIN_CHARACTERS} to {MAX_CHARACTERS} ASCII characters on one line; "
            f"make one with {HOW_TO_MAKE}"
        )
    return token


def read_password(path: Path) -> str:
    """The first line of the file `path`.

    Raises:
        StreamError: the file cannot be read, or holds no text.
    """
    try:
        with path.open(encoding="utf-8") as file:
            password = file.readline(4 * MAX_CHARACTERS).rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise StreamError(f"cannot read password file {path}: {error}; expected one line of text") from error
    if not password:
        raise StreamError(f"password file {path} is empty; expected one line of text")
    return password


def same_token(given: str, expected: str) -> bool:
    """Whether the tokens are equal; takes the same time wherever they differ."""
    # a header that is no UTF-8 comes from aiohttp as lone surrogates
    return hmac.compare_digest(given.encode(errors="surrogatepass"), expected.encode())


def check_reach(address: Address, *, token: str | None, insecure: bool) -> None:
    """Refuses what others could read without anybody having said that they may.

    Raises:
        StreamError: `address` is beyond loopback, and there is neither a token nor `insecure`.
    """
    if insecure or address.is_loopback:
        return
    if isinstance(address, MqttAddress):
        if not address.secure:
            raise StreamError(
                f"{address} sends faces over the network in the clear; say mqtts:// for TLS, "
                "or let everybody on the way read with --insecure"
            )
        return
    if isinstance(address, UdpAddress):
        raise StreamError(
            f"{address} sends faces over the network, and datagrams carry no token; "
            "send to 127.0.0.1, or let everybody on the way read with --insecure"
        )
    if token is None:
        raise StreamError(
            f"{address} can be reached from other machines; bind 127.0.0.1, ask for a token with --token-file FILE "
            f"({HOW_TO_MAKE}), or let anybody on the network watch with --insecure"
        )


def read_tls(certificate: Path, key: Path) -> ssl.SSLContext:
    """The context of a server with `certificate` (PEM, with its chain) and its `key`.

    Raises:
        StreamError: a file cannot be read, or they do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        reason = error.strerror if isinstance(error, OSError) else error
        raise StreamError(
            f"cannot use certificate {certificate} with key {key}: {reason}; "
            "expected two PEM files that belong together, the key without a password"
        ) from error
    return context


def check_certificate(address: Address, tls: ssl.SSLContext | None) -> None:
    """Refuses `wss://` without a certificate.

    Raises:
        StreamError: there is none.
    """
    if isinstance(address, WebAddress) and address.secure and tls is None:
        raise StreamError(f"{address} needs a certificate; name it with --tls-cert FILE --tls-key FILE")


def _no_password() -> str:
    raise ValueError("the key has a password")
