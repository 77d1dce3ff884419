"""Types of arguments, and the options that several commands share. Imports no library: `--help` must be quick."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

from fkp_edge.app.defaults import DEFAULT_STREAM, MAX_FACES, MAX_THREADS, SEARCHES
from fkp_edge.errors import InputError
from fkp_edge.model.shipped import find_model

__all__ = [
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
