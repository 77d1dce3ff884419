"""`fkp-edge run`: camera or recording -> keypoints on a socket; or what it would do. Arguments end here."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import msgspec

from fkp_edge.app.config import RunConfig
from fkp_edge.app.live import plan_run, run_live
from fkp_edge.cli.terminal import print_result, quiet_runtime
from fkp_edge.core.settings import format_toml, parse_settings, read_values
from fkp_edge.core.systemd import CameraLog, is_journal, log_to_journal
from fkp_edge.device.summary import StatusLine, Summary

__all__ = ["IN_TABLES", "read_run_config", "run"]

IN_TABLES = {
    "field_of_view": ("measures", "field_of_view"),
    "keep_every": ("keeping", "every_s"),
    "keep_unsure": ("keeping", "unsure"),
    "max_faces": ("tracking", "max_faces"),
    "measures": ("measures", "enabled"),
    "search": ("search", "method"),
    "smoothing": ("smoothing", "enabled"),
}
"""Options whose key stands in a table: the table and the key."""


def run(args: Namespace) -> int:
    """Runs until the source ends or a signal comes."""
    cv2.setNumThreads(1)  # or OpenCV's threads take the cores from the frame path; the process is ours alone
    config = read_run_config(args)
    if args.print_config:
        print(format_toml(config), end="")
        return 0
    with quiet_runtime():
        plan = plan_run(config)
    if args.check:
        file = plan.model.file
        print(f"{args.config or 'the defaults'}: good, with {file.path} ({file.sha256[:8]})")
        return 0
    in_journal = is_journal(sys.stderr)
    if in_journal:
        log_to_journal(sys.stderr)
    with ExitStack() as closing:
        status = None if in_journal else StatusLine(sys.stderr)
        if status:
            closing.callback(status.end)

        def done(summary: Summary) -> None:
            if status:
                status.end()
            if summary.frames:
                print_result(json.dumps(summary.figures()) if config.json else summary.table())

        command = sys.argv[0] if Path(sys.argv[0]).name == "fkp-edge" else "fkp-edge"
        run_live(plan, tell=_tell, show=status or CameraLog(), done=done, command=command)
    return 0


def _tell(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def read_run_config(args: Namespace) -> RunConfig:
    """What `--config` says and the other options override; an option that was not given is None in `args`.

    Raises:
        InputError: the file cannot be read, or a key or value in it is none of ours.
    """
    values: dict[str, Any] = read_values(args.config) if args.config else {}
    config = parse_settings(values, RunConfig, str(args.config))
    for option, value in vars(args).items():
        if value is None:
            continue
        if option in IN_TABLES:
            table, key = IN_TABLES[option]
            inner = msgspec.structs.replace(getattr(config, table), **{key: value})
            config = msgspec.structs.replace(config, **{table: inner})
        elif option in config.__struct_fields__:
            plain = tuple(value) if isinstance(value, list) else str(value) if isinstance(value, Path) else value
            config = msgspec.structs.replace(config, **{option: plain})
    return config
