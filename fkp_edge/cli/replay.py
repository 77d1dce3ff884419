"""`fkp-edge replay`: streams a recording as if it happened now."""

from __future__ import annotations

import signal
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
    before = {kind: signal.signal(kind, lambda *_: playing.stop()) for kind in (signal.SIGINT, signal.SIGTERM)}
    try:
        for address in playing.outputs.addresses:
            print(f"streaming {args.recording} on {address}", file=sys.stderr, flush=True)
        print(f"{playing.run(fast=args.fast, say=_say)} observations", file=sys.stderr)
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
    return 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
