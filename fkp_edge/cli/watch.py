"""`fkp-edge watch`: shows a stream, and keeps it where asked."""

from __future__ import annotations

import contextlib
import sys
from argparse import Namespace

from fkp_edge.stream.client.watch import watch as show
from fkp_edge.stream.protocol.address import complete_address
from fkp_edge.stream.recording.recording import GB, Recorder
from fkp_edge.stream.server.access import read_token

__all__ = ["watch"]


def watch(args: Namespace) -> int:
    """Prints observations until the stream or the reader ends."""
    token = read_token(args.token_file) if args.token_file else None
    recording = (
        Recorder(args.record, limit_bytes=round(args.record_limit * GB)) if args.record else contextlib.nullcontext()
    )
    with recording as recorder, contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how a person ends it
        show(
            complete_address(args.url),
            as_json=args.json,
            out=sys.stdout,
            token=token,
            count=args.count,
            wait_s=args.wait,
            recorder=recorder,
            say=lambda text: print(text, file=sys.stderr, flush=True),
        )
    return 0
