"""What the command line says of streams, read into what opens them."""

from __future__ import annotations

from argparse import Namespace

from fkp_edge.errors import InputError
from fkp_edge.stream.address import Address, parse_address
from fkp_edge.stream.outputs import Access
from fkp_edge.stream.tls import read_tls
from fkp_edge.stream.trust import check_reach, read_password, read_token

__all__ = ["read_stream_options"]


def read_stream_options(args: Namespace, default: str) -> tuple[tuple[Address, ...], Access]:
    """The addresses of `--stream` (`default` where there is none), and who may read. Opens nothing.

    Raises:
        FkpEdgeError: an address, token, certificate or key that cannot be used.
    """
    addresses = tuple(parse_address(url) for url in args.stream or [default])
    token = read_token(args.token_file) if args.token_file else None
    for address in addresses:
        check_reach(address, token=token, insecure=args.insecure)
    if bool(args.tls_cert) != bool(args.tls_key):
        raise InputError("a certificate and its key go together; expected both --tls-cert FILE and --tls-key FILE")
    tls = read_tls(args.tls_cert, args.tls_key) if args.tls_cert else None
    password = read_password(args.mqtt_password_file) if args.mqtt_password_file else None
    return addresses, Access(token, args.insecure, tls, password)
