"""An argument parser whose refusals are one line that names the value, what was expected and where help is."""

from __future__ import annotations

import argparse
import difflib
import re
from collections.abc import Sequence
from typing import Any, NoReturn, TypeAlias

from fkp_edge.cli.terminal import print_error

__all__ = ["Commands", "Parser"]

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
