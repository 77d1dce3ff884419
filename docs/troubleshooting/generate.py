"""Writes the lists of ../troubleshooting.md: every error, warning and doctor's finding in the source, `…` for what
differs each time.

    python docs/troubleshooting/generate.py

A list stands between `<!-- errors: MODULES -->` and `<!-- end -->`; a shell script is named by its path. What somebody
wrote, indented, under a message stays with it; what stood under a message that is gone is printed, to be written again
or forgotten. A test compares.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PAGE = REPOSITORY / "docs/troubleshooting.md"
GAP = "…"
MIN_LETTERS = 8
"""A template with less fixed text only wraps another message, such as `FILE: MESSAGE`."""

BASE = "FkpEdgeError"
CARRIERS = {"ArgumentTypeError", "ErrorMessage", "HTTPBadRequest", "Response", "RuntimeError", "ValueError", "_refuse"}
"""What else a text goes into that a user reads: argparse, the stream's last line, answers of the live page, and
Python's own errors where one of ours repeats them."""
FIRST_CARRIERS = {"error", "exception", "fails", "warning", "warns"}
"""What has such a text in its first argument only: lines of the log, whose other arguments fill its gaps, and the
doctor's findings, whose fix it says itself."""
NOT_SHIPPED = ("fkp_edge.device.sources.fakes",)

BLOCK = re.compile(r"<!-- errors: ([^>]*) -->\n(.*?)<!-- end -->", re.DOTALL)
ENTRY = re.compile(r"^- `([^\n]*)`\\?\n((?:  [^\n]*\n)*)", re.MULTILINE)
FORMAT = re.compile(r"%(?:\.\d+)?[a-z]")
"""A gap of a log's line."""
BREAK = "\\"
"""Ends a line in Markdown."""

Constants = Mapping[str, ast.expr]


@dataclass(frozen=True)
class Module:
    """One source file."""

    name: str
    """Dotted."""
    tree: ast.Module

    @property
    def constants(self) -> dict[str, ast.expr]:
        """What capital names stand for at the top of the file."""
        return {
            target.id: node.value
            for node in self.tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name) and target.id.strip("_").isupper()
        }


@cache
def read_modules(root: Path = REPOSITORY) -> tuple[Module, ...]:
    """Every module of the package."""
    paths = sorted((root / "fkp_edge").rglob("*.py"))
    names = (".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for path in paths)
    every = (Module(name, ast.parse(path.read_text())) for name, path in zip(names, paths, strict=True))
    return tuple(module for module in every if module.name not in NOT_SHIPPED)


@cache
def error_names(modules: tuple[Module, ...]) -> set[str]:
    """`FkpEdgeError` and every class that derives from it."""
    classes = [node for module in modules for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)]
    names, before = {BASE}, 0
    while len(names) > before:
        before = len(names)
        names |= {c.name for c in classes if names & {base.id for base in c.bases if isinstance(base, ast.Name)}}
    return names


def templates(module: Module, modules: tuple[Module, ...]) -> list[str]:
    """The error texts of `module`, in the order of its lines, each once."""
    carriers = CARRIERS | error_names(modules)
    found = {}
    for scope in scopes(module, modules):
        for call in scope.calls:
            if name_of(call.func) in FIRST_CARRIERS and call.args:
                found |= dict.fromkeys(
                    (FORMAT.sub(GAP, text) for text in texts(call.args[0], scope.known)), call.lineno
                )
            if name_of(call.func) in carriers:
                for value in (*call.args, *(keyword.value for keyword in call.keywords if keyword.arg == "text")):
                    found |= dict.fromkeys(texts(value, scope.known), call.lineno)
    ordered = sorted(found, key=lambda text: found[text])
    return [text for text in ordered if sum(map(str.isalpha, text)) >= MIN_LETTERS]


def shell_templates(script: str) -> list[str]:
    """The texts that a shell script gives to its `fail`."""
    return [re.sub(r"\$\([^)]*\)|\$\w+", GAP, text) for text in re.findall(r'\bfail "([^"]*)"', script)]


def texts(node: ast.expr, known: Constants) -> list[str]:
    """What text `node` can be, in one line; nothing where it holds none of its own."""
    match node:
        case ast.Constant(value=str(text)):
            return [" ".join(text.split())]
        case ast.JoinedStr(values=parts):
            return [" ".join("".join(_part(part, known) for part in parts).split())]
        case ast.IfExp(body=body, orelse=other):
            return texts(body, known) + texts(other, known)
        case ast.Name(id=name) if name in known:
            return texts(known[name], {key: value for key, value in known.items() if key != name})
        case _:
            return []


def _part(node: ast.expr, known: Constants) -> str:
    """A piece of an f-string: itself, the text of a capital constant, or a gap."""
    match node:
        case ast.Constant(value=value):
            return str(value)
        case ast.FormattedValue(value=ast.Name(id=name)) if name.strip("_").isupper() and name in known:
            constant = known[name]
            if isinstance(constant, ast.Constant) and isinstance(constant.value, int | str):
                return str(constant.value)
            return next(iter(texts(constant, known)), GAP)
        case _:
            return GAP


@dataclass(frozen=True)
class Scope:
    """A function's own part of a module, or the module's."""

    calls: list[ast.Call]
    known: Constants
    """What its names stand for: its own, its module's capital ones, and those of other modules."""


def scopes(module: Module, modules: tuple[Module, ...]) -> Iterator[Scope]:
    """The parts of `module`, what is nested left out of what it is nested in."""
    shared = _all_constants(modules) | module.constants
    functions = [node for node in ast.walk(module.tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    for scope in (module.tree, *functions):
        nodes = list(_own_nodes(scope))
        own = {
            target.id: node.value
            for node in nodes
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        yield Scope([node for node in nodes if isinstance(node, ast.Call)], shared | own)


@cache
def _all_constants(modules: tuple[Module, ...]) -> dict[str, ast.expr]:
    return {name: value for other in modules for name, value in other.constants.items()}


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(scope):
        if not isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield child
            yield from _own_nodes(child)


def name_of(function: ast.expr) -> str:
    """The last part of a call's name."""
    match function:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def page(text: str, modules: tuple[Module, ...]) -> str:
    """The page with its lists made anew.

    Raises:
        SystemExit: a module with error texts stands in no list, or two.
    """
    groups = [match[1].split() for match in BLOCK.finditer(text)]
    of_group: dict[int, list[str]] = {number: [] for number in range(len(groups))}
    for module in modules:
        if found := templates(module, modules):
            of_group[_group(module.name, groups)] += found
    for number, names in enumerate(groups):
        for script in (name for name in names if name.endswith(".sh")):
            of_group[number] += shell_templates((REPOSITORY / script).read_text())
    numbers = iter(of_group)
    return BLOCK.sub(lambda match: _listed(match, of_group[next(numbers)]), text)


def _group(name: str, groups: list[list[str]]) -> int:
    """The list that names `name` or, failing that, the nearest package around it."""
    parts = name.split(".")
    for package in (".".join(parts[:length]) for length in range(len(parts), 0, -1)):
        for number, names in enumerate(groups):
            if package in names:
                return number
    raise SystemExit(f"no list of {PAGE.name} names {name!r} or a package around it")


def _listed(match: re.Match[str], messages: list[str]) -> str:
    written = dict(ENTRY.findall(match[2]))
    for message in written.keys() - set(messages):
        if written[message]:
            print(f"gone: {message}\n{written[message]}", file=sys.stderr, end="")  # noqa: T201 - a program
    entries = "".join(_entry(message, written.get(message, "")) for message in dict.fromkeys(messages))
    return f"<!-- errors: {match[1]} -->\n{entries}<!-- end -->"


def _entry(message: str, written: str) -> str:
    return f"- `{message}`{BREAK if written else ''}\n{written}"


def find(error: str, text: str) -> list[str]:
    """The messages of the page that `error` can be or holds. Backticks, which end code in Markdown, do not count."""
    error = error.replace("`", "")
    patterns = {m: ".*".join(map(re.escape, m.split(GAP))) for m, _ in ENTRY.findall(text)}
    return [message for message, pattern in patterns.items() if re.search(pattern, error)]


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(), read_modules()))
