"""`fkp-edge replay`: streams a recording as if it happened now."""

from __future__ import annotations

import contextlib
import sys
from argparse import Namespace

from fkp_edge.app.defaults import DEFAULT_STREAM
from fkp_edge.stream.recording.replay import Replay
from fkp_edge.stream.server.options import read_stream_options

__all__ = ["replay"]


def replay(args: Namespace) -> int:
    """Plays it once, from beginning to end."""
    addresses, access = read_stream_options(
        args.stream or [DEFAULT_STREAM],
        token_file=args.token_file,
        insecure=args.insecure,
        tls_cert=args.tls_cert,
        tls_key=args.tls_key,
        mqtt_password_file=args.mqtt_password_file,
    )
    playing = Replay(args.recording, addresses, access)
    for address in playing.outputs.addresses:
        print(f"streaming {args.recording} on {address}", file=sys.stderr, flush=True)
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how a person ends it
        print(f"{playing.run(fast=args.fast)} observations", file=sys.stderr)
    return 0
