"""`fkp-edge status`: asks a running service how it is doing."""

from __future__ import annotations

import json
from argparse import Namespace

import msgspec

from fkp_edge.errors import StreamError
from fkp_edge.stream.client.status import StreamStatus, read_status
from fkp_edge.stream.client.watch import introduction
from fkp_edge.stream.protocol.address import complete_address, parse_address
from fkp_edge.stream.server.access import read_token

__all__ = ["status"]


def status(args: Namespace) -> int:
    """Prints what the stream says; 1 where nothing answers or no frames flow."""
    url = complete_address(args.url)
    parse_address(url)  # one that is none is bad input, not a service that is down
    token = read_token(args.token_file) if args.token_file else None
    try:
        found = read_status(url, token=token, within_s=args.within)
    except StreamError as error:
        print(json.dumps({"alive": False, "error": str(error)}) if args.json else f"{url}: no answer: {error}")
        return 1
    if args.json:
        print(json.dumps({"alive": found.is_alive} | msgspec.to_builtins(found)))
    else:
        print(f"{url}: {_text(found, args.within)}\n{introduction(found.hello)}")
    return 0 if found.is_alive else 1


def _text(found: StreamStatus, within_s: float) -> str:
    state = found.state or "no observation"
    if not found.frames:
        return f"{state}, no new frame in {within_s:g} s"
    faces = "1 face" if found.faces == 1 else f"{found.faces} faces"
    age = "" if found.age_ms is None else f", age {found.age_ms:.1f} ms"
    return f"{state}, {faces}, {found.frames_per_s:.1f} frames/s{age}"
