"""The entry of the command line. Imports nothing before it can answer Ctrl-C in a line."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # for checkers, who take it for typing's; see fkp_edge/__init__.py
if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["main"]

UNTIL_STOPPED = ("run", "watch", "replay")
"""Commands that Ctrl-C ends with 0, as a person means it to; whatever else it cuts short ends with 130."""
_MODULES = {
    **dict.fromkeys(("export", "replay", "status", "watch"), "streams"),
    **dict.fromkeys(("model", "verify"), "models"),
}
"""Where a command stands that has no module of its own name."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; 0 done, 1 a check failed, 2 bad input or a missing part, 130 cut short."""
    words = sys.argv[1:] if argv is None else argv
    try:
        return _main(words)
    except KeyboardInterrupt:
        command = words[0] if words else ""
        if command in UNTIL_STOPPED:
            return 0
        print(f"fkp-edge {command}: cut short", file=sys.stderr)
        return 130


def _main(argv: Sequence[str]) -> int:
    from importlib import import_module

    from fkp_edge.cli.command_line import build_parser
    from fkp_edge.cli.terminal import forget_stdout, open_standard_files, print_error
    from fkp_edge.errors import FkpEdgeError

    open_standard_files()
    args = build_parser().parse_args(argv)
    # OpenCV and FFmpeg speak up on stderr beside our one line; read when cv2 is first imported
    os.environ.setdefault("OPENCV_LOG_LEVEL", "ERROR")
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
    try:
        command = import_module(f"fkp_edge.cli.{_MODULES.get(args.command, args.command)}")
        return int(getattr(command, args.command)(args))
    except BrokenPipeError:  # what reads our output went away: `fkp-edge watch --json | head`
        forget_stdout()
        return 0
    except (FkpEdgeError, OSError) as error:  # OSError: a full disk, a folder that may not be read
        if os.environ.get("FKP_EDGE_DEBUG"):
            raise
        print_error(error)
        return 2
    except ModuleNotFoundError as error:
        if os.environ.get("FKP_EDGE_DEBUG") or (missing := (error.name or "fkp_edge").partition(".")[0]) == "fkp_edge":
            raise
        print_error(
            f"{sys.executable} has no module {missing}, which fkp-edge {args.command} needs; in a clone: make run, "
            f"then .venv/bin/fkp-edge {args.command}; elsewhere: pip install fkp-edge"
        )
        return 2
