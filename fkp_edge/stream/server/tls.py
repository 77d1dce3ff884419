"""Certificate and key of the device."""

from __future__ import annotations

import ssl
from pathlib import Path

from fkp_edge.errors import StreamError
from fkp_edge.stream.protocol.address import Address, WebAddress

__all__ = ["check_certificate", "read_tls"]


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
