"""`fkp-edge watch`, `status`, `replay` and `export`: streams and recordings of them."""

from __future__ import annotations

import contextlib
import json
import signal
import sys
from argparse import Namespace

import msgspec

from fkp_edge.app.defaults import DEFAULT_STREAM
from fkp_edge.errors import StreamError
from fkp_edge.stream.client.connection import StreamStatus, read_status
from fkp_edge.stream.client.watch import introduction
from fkp_edge.stream.client.watch import watch as show
from fkp_edge.stream.protocol.address import complete_address, parse_address
from fkp_edge.stream.recording.recording import GB, Recorder
from fkp_edge.stream.recording.replay import Replay, export_csv
from fkp_edge.stream.server.access import read_token
from fkp_edge.stream.server.publishers import read_stream_options

__all__ = ["export", "replay", "status", "watch"]


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


def export(args: Namespace) -> int:
    """Writes a row a face."""
    print(f"{args.out}: {export_csv(args.recording, args.out)} rows")
    return 0
