"""Every command's options for docs/commands.md, from the parsers themselves."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from fkp_edge.cli.command_line import build_parser

__all__ = ["commands", "options"]

Parser = argparse.ArgumentParser


def commands() -> Iterator[tuple[str, str, Parser]]:
    """Each command that does something: its words, its help, its parser."""
    for name, said, parser in _choices(build_parser()):
        inner = list(_choices(parser))
        yield from (
            ((f"{name} {action}", text, each) for action, text, each in inner) if inner else [(name, said, parser)]
        )


def _choices(parser: Parser) -> Iterator[tuple[str, str, Parser]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            said = {choice.dest: choice.help for choice in action._choices_actions}
            yield from ((name, said.get(name, ""), each) for name, each in action.choices.items())


def options() -> str:
    """A heading and a table per command, in Markdown."""
    return "\n\n".join(
        f"### fkp-edge {name}\n\n{_sentence(said)}\n\n{_table(parser)}" for name, said, parser in commands()
    )


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _table(parser: Parser) -> str:
    rows = [f"| `{_words(action)}` | {_help(action, parser)} |" for action in parser._actions if _shown(action)]
    return "\n".join(["| argument | meaning |", "| --- | --- |", *rows])


def _shown(action: argparse.Action) -> bool:
    hidden = action.help == argparse.SUPPRESS or isinstance(action, argparse._HelpAction)
    return not hidden and not isinstance(action, argparse._SubParsersAction)


def _words(action: argparse.Action) -> str:
    names = ", ".join(action.option_strings)
    value = (
        "" if action.nargs == 0 else str(action.metavar or ",".join(map(str, action.choices or [action.dest.upper()])))
    )
    return f"{names} {value}".strip()


def _help(action: argparse.Action, parser: Parser) -> str:
    fields = {**vars(action), "prog": parser.prog}
    text = (action.help or "") % fields
    if action.default not in (None, False, argparse.SUPPRESS) and "default" not in text and action.nargs != 0:
        text += f" (default: {action.default})"
    return text.replace("|", r"\|")
