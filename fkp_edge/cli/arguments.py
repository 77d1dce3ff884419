"""The command line's parser, types of arguments, and options that several commands share. Imports no library."""

from __future__ import annotations

import argparse
import difflib
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from fkp_edge.app.defaults import DEFAULT_STREAM, MAX_FACES, MAX_THREADS, SEARCHES
from fkp_edge.cli.terminal import print_error
from fkp_edge.errors import InputError
from fkp_edge.model.shipped import find_model

__all__ = [
    "Commands",
    "Parser",
    "add_accelerator",
    "add_data",
    "add_model",
    "add_search",
    "add_streams",
    "add_token",
    "add_trust",
    "degrees",
    "faces",
    "model",
    "percent",
    "positive",
    "seconds",
    "share",
    "some_gigabytes",
    "some_seconds",
    "threads",
]

_CHOICE = re.compile(r"(?P<start>.*)invalid choice: '(?P<given>.*)' \(choose from (?P<known>.*)\)")


class Parser(argparse.ArgumentParser):
    """As argparse's, without its usage in front of each error; subparsers are of this class, too."""

    def error(self, message: str) -> NoReturn:
        """Prints the line and exits with 2."""
        said = _with_nearest(message)
        print_error(f"{said}{'' if said.endswith('?') else ';'} {self.prog} --help lists what it takes")
        raise SystemExit(2)

    def parse_args(  # type: ignore[override]  # argparse's overloads are for namespaces that we do not use
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> argparse.Namespace:
        """As argparse's; what is unknown is refused by the command that was to take it."""
        found, unknown = self.parse_known_args(args, namespace)
        if unknown:
            parser = self._chosen(found)
            parser.error(f"{unknown[0]!r} is not expected{parser._nearest_option(unknown[0])}")
        return found

    def _chosen(self, found: argparse.Namespace) -> Parser:
        """The parser of the command, and of its action, that `found` names."""
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                choices: dict[str, Any] = dict(action.choices)
                parser = choices[getattr(found, action.dest)]
                assert isinstance(parser, Parser)
                return parser._chosen(found)
        return self

    def _nearest_option(self, given: str) -> str:
        if not given.startswith("-"):
            return ""
        near = difflib.get_close_matches(given.split("=")[0], self._option_string_actions, n=1, cutoff=0.6)
        return f"; did you mean {near[0]}?" if near else ""


def _with_nearest(message: str) -> str:
    """A refused choice in our words, with the nearest that is one."""
    found = _CHOICE.fullmatch(message)
    if found is None:
        return message
    known = re.findall(r"[\w-]+", found["known"])
    near = difflib.get_close_matches(found["given"], known, n=1, cutoff=0.6)
    meant = f"did you mean {near[0]}? " if near else ""
    return f"{found['start']}{found['given']!r} is none of its values; {meant}expected one of {', '.join(known)}"


Commands: TypeAlias = "argparse._SubParsersAction[Parser]"
"""What `add_subparsers` gives; the library has no public name for it."""


def add_streams(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--stream",
        action="append",
        metavar="URL",
        help="where to listen: tcp://HOST:PORT, ws://HOST:PORT or unix:///PATH; or where to send: udp://, osc://, "
        "vmc://, opentrack:// or openseeface://HOST:PORT, mqtt://[USER@]HOST:PORT[/PREFIX]; may be given several times "
        f"(default: {DEFAULT_STREAM})",
    )
    add_token(parser)
    parser.add_argument("--insecure", action="store_true", help="let whoever can reach an address read without a token")
    parser.add_argument(
        "--tls-cert", type=Path, metavar="FILE.pem", help="certificate for wss:// and a page over https"
    )
    parser.add_argument("--tls-key", type=Path, metavar="FILE.pem", help="its key")
    parser.add_argument(
        "--mqtt-password-file", type=Path, metavar="FILE", help="file with the password of mqtt://USER@"
    )


def add_token(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--token-file", type=Path, metavar="FILE", help="file with the token that clients must show")


def add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        type=model,
        metavar="FILE.tflite",
        help="model file, or the name of a shipped one, which fkp-edge models lists (default: keypoints-int8)",
    )
    parser.add_argument("--no-card", action="store_true", help="accept a .tflite without a card")
    add_accelerator(parser)


def add_accelerator(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--accelerator",
        choices=("cpu", "edgetpu"),
        default="cpu",
        help="what runs the network; edgetpu needs a file compiled for it and a Coral device (default: cpu)",
    )


def add_search(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--search",
        choices=SEARCHES,
        default="both",
        help="what proposes faces: the finder, a small network, Haar's cascade, or both (default: both)",
    )


def add_data(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--data", type=Path, required=True, metavar="DIR", help=text)


def add_trust(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--trust-model-code", action="store_true", help="run the code that the float network's file carries, if any"
    )


def model(text: str) -> Path:
    try:
        return find_model(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return int(text)


def percent(text: str) -> float:
    value = _number(text.removesuffix("%"))
    if not 0 < value <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage above 0, such as 1%")
    return value


def share(text: str) -> float:
    value = _number(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a share above 0 and at most 1, such as 0.05")
    return value


def threads(text: str) -> int:
    value = positive(text)
    if value > MAX_THREADS:  # the runtime crashes on thousands
        raise argparse.ArgumentTypeError(f"{text} is too many; expected at most {MAX_THREADS}")
    return value


def faces(text: str) -> int:
    value = positive(text)
    if value > MAX_FACES:
        raise argparse.ArgumentTypeError(f"{text} is too many; expected at most {MAX_FACES}")
    return value


def degrees(text: str) -> float:
    value = _number(text)
    if not 10 <= value <= 170:
        raise argparse.ArgumentTypeError(f"{text!r} is no field of view in degrees, 10 to 170")
    return value


def some_gigabytes(text: str) -> float:
    value = _number(text)
    if not 0 < value <= 100_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of gigabytes, above 0 to 100000")
    return value


def some_seconds(text: str) -> float:
    value = seconds(text)
    if value < 0.1:
        raise argparse.ArgumentTypeError(f"{text} is too short; expected 0.1 seconds or more")
    return value


def seconds(text: str) -> float:
    value = _number(text)
    if not 0 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds, 0 to 86400")
    return value


def _number(text: str) -> float:
    """`text` as a number; one that is in no range where it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
