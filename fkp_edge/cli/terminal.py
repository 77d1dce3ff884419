"""What commands print alike: errors, JSON, and nothing of the runtime's own remarks."""

from __future__ import annotations

import faulthandler
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fkp_edge.errors import FkpEdgeError

__all__ = [
    "desktop_stderr",
    "forget_stdout",
    "open_standard_files",
    "print_error",
    "print_result",
    "quiet_runtime",
    "to_json",
]


def open_standard_files() -> None:
    """Opens /dev/null where stdin, stdout or stderr are closed (`2>&-`): a socket would take their number."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is not None:
            continue
        nothing = os.open(os.devnull, os.O_RDWR)
        try:
            os.fstat(number)
        except OSError:
            os.dup2(nothing, number)
        if nothing == number:
            os.set_inheritable(number, True)
        setattr(sys, name, os.fdopen(nothing, mode))


def print_error(error: Exception | str) -> None:
    """One line on stderr, whatever the text holds."""
    from fkp_edge.core.systemd import is_journal, with_level

    line = f"fkp-edge: error: {' '.join(str(error).split())}"
    print(with_level(line, logging.ERROR) if is_journal(sys.stderr) else line, file=sys.stderr)


def print_result(text: str) -> None:
    """Prints and flushes `text`.

    Raises:
        OSError: nobody reads it; nothing more will be written, so that Python does not try again at its end.
    """
    try:
        print(text, flush=True)
    except OSError:
        forget_stdout()
        raise


def forget_stdout() -> None:
    """Sends what stdout still holds nowhere: whoever read it is gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def to_json(value: Any) -> str:
    """`value` as JSON; what could not be measured (NaN) becomes null."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode()


@contextmanager
def desktop_stderr() -> Iterator[None]:
    """Leaves stderr to our own lines: progress, and warnings that a person can act on. FKP_EDGE_DEBUG=1 shows all.

    TensorFlow, absl and picture decoders write to the descriptor itself, past Python: it goes to a file, of which the
    end is shown when something breaks that we have no words for. Where the process crashes, Python says where.
    """
    if os.environ.get("FKP_EDGE_DEBUG"):
        logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
        yield
        return
    sys.stderr.flush()
    kept, python_stderr = os.dup(2), sys.stderr
    with tempfile.TemporaryFile() as said, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if python_stderr is sys.__stderr__:  # else somebody listens already, such as a test
            sys.stderr = os.fdopen(os.dup(kept), "w", buffering=1, errors="backslashreplace")
            faulthandler.enable(sys.stderr)
        handler = logging.StreamHandler(sys.stderr)
        handler.addFilter(_is_ours)
        root, level = logging.getLogger(), logging.getLogger().level
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        os.dup2(said.fileno(), 2)
        try:
            yield
        except (FkpEdgeError, OSError, KeyboardInterrupt):
            raise
        except BaseException:
            said.seek(max(0, said.tell() - 4096))
            print(said.read().decode(errors="backslashreplace"), file=sys.stderr)
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)
            root.removeHandler(handler)
            root.setLevel(level)
            if sys.stderr is not python_stderr:
                faulthandler.disable()
                sys.stderr.close()
                sys.stderr = python_stderr


def _is_ours(record: logging.LogRecord) -> bool:
    return record.name.startswith("fkp_edge") or record.levelno > logging.ERROR


@contextmanager
def quiet_runtime() -> Iterator[None]:
    """Keeps TFLite's own remarks ("Created ... XNNPACK delegate") off the terminal; FKP_EDGE_DEBUG=1 shows them.

    The runtime writes to the descriptor itself, past Python. Only the command line does this: no thread runs yet.
    """
    if os.environ.get("FKP_EDGE_DEBUG"):
        yield
        return
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
