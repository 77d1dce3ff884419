"""Reads a TOML file into one typed record: recipes and the device's configuration. Unknown keys are errors."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from fkp_edge.core.files import read_bounded
from fkp_edge.errors import InputError

__all__ = ["Seconds", "Settings", "Share", "format_toml", "parse_settings", "read_toml", "read_values"]

MAX_BYTES = 2**20

Seconds = Annotated[float, msgspec.Meta(ge=0, le=86_400)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Base of recipes and configurations: frozen, typed, defaults in the type only."""


T = TypeVar("T", bound=Settings)


def read_toml(path: Path, kind: type[T]) -> T:
    """The settings in `path`.

    Raises:
        InputError: the file is missing or no TOML, a key is unknown (the nearest known one is named) or a value is of
            the wrong type.
    """
    return parse_settings(read_values(path), kind, str(path))


def read_values(path: Path) -> dict[str, Any]:
    """What the TOML file `path` says, not yet checked.

    Raises:
        InputError: the file is missing or no TOML.
    """
    content = read_bounded(path, MAX_BYTES, "a TOML file")
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:  # also of a number with thousands of digits
        raise InputError(f"{path} is not TOML: {error}") from None


def parse_settings(values: dict[str, Any], kind: type[T], where: str) -> T:
    """`values` as a `kind`; `where` names their origin in errors."""
    _refuse_unknown(values, kind, where)
    _refuse_odd(values, where)
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise _refusal(str(error), values, where) from None


def _refuse_odd(value: Any, where: str) -> None:
    """Refuses texts with a NUL, which no name of a file or an address holds, and numbers beyond TOML's own."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, str) and "\0" in part:
            raise InputError(f"{where}: {part!r:.60} holds a NUL; expected a text without")
        if isinstance(part, int) and abs(part) >= 2**63:
            raise InputError(f"{where}: a number has {part.bit_length()} bits; expected one of TOML, at most 63")
        if isinstance(part, dict | list):
            waiting.extend([*part, *part.values()] if isinstance(part, dict) else part)


def _refusal(error: str, values: dict[str, Any], where: str) -> InputError:
    """msgspec's words in ours: the key, what it is given, and what was expected."""
    if missing := _MISSING.fullmatch(error):
        return InputError(f"{where}: there is no key {missing['key']!r}; expected one")
    found = _WRONG.fullmatch(error)
    if found is None:
        return InputError(f"{where}: {error}")
    wanted = re.sub(r"`(\w+)`", lambda match: _TYPES.get(match[1], match[1]), found["wanted"])
    value: Any = values
    try:
        for name, number in _STEP.findall(found["path"]):
            value = value[int(number)] if number else value[name]
    except (KeyError, TypeError, ValueError):  # in a table of any keys msgspec says [...] for which
        return InputError(f"{where}: a value of {found['path']} cannot be used; expected {wanted}")
    try:
        given = json.dumps(value, ensure_ascii=False, default=str)
    except ValueError:  # digits beyond what Python writes out
        given = "a huge number"
    return InputError(f"{where}: {found['path']} = {given} cannot be used; expected {wanted}")


_WRONG = re.compile(r"Expected (?P<wanted>.*?)(?:, got `.*`)? - at `\$\.(?P<path>.*)`")
_MISSING = re.compile(r"Object missing required field `(?P<key>\w+)`(?: - at .*)?")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_TYPES = {
    "array": "an array",
    "bool": "true or false",
    "float": "a number",
    "int": "a whole number",
    "object": "a table",
    "str": "a text",
}


def _refuse_unknown(values: dict[str, Any], kind: type[msgspec.Struct], where: str) -> None:
    _refuse_unknown_in(values, kind, where, "", _places(kind))


def _refuse_unknown_in(
    values: dict[str, Any], kind: type[msgspec.Struct], where: str, table: str, places: dict[str, list[str]]
) -> None:
    """`table` is where `values` stand in the file; `places` has the tables of every key that the file may have."""
    hints = get_type_hints(kind)
    here = f"{where} [{table}]" if table else where
    for key, value in values.items():
        if key not in hints:
            raise InputError(f"{here}: unknown key {key!r}; {_advice(key, hints, places)}")
        if get_origin(hints[key]) is Literal and isinstance(value, str) and value not in get_args(hints[key]):
            known = get_args(hints[key])
            near = difflib.get_close_matches(value, known, n=1, cutoff=0)
            raise InputError(f"{here}: {key} = {value!r}; did you mean {near[0]!r}? expected one of {', '.join(known)}")
        words = [word for part in get_args(hints[key]) if get_origin(part) is Literal for word in get_args(part)]
        if words and isinstance(value, str) and value not in words:  # of which msgspec does not say what was expected
            raise InputError(f"{here}: {key} = {value!r} cannot be used; expected {' or '.join(words)}, or a number")
        if isinstance(value, dict) and _is_table(hints[key]):
            _refuse_unknown_in(value, hints[key], where, f"{table}.{key}" if table else key, places)


def _places(kind: type[msgspec.Struct], table: str = "") -> dict[str, list[str]]:
    """Key -> the tables that have it, "" for what stands above all tables."""
    found: dict[str, list[str]] = {}
    for key, hint in get_type_hints(kind).items():
        found.setdefault(key, []).append(table)
        if _is_table(hint):
            for inner, tables in _places(hint, f"{table}.{key}" if table else key).items():
                found.setdefault(inner, []).extend(tables)
    return found


def _advice(key: str, hints: dict[str, Any], places: dict[str, list[str]]) -> str:
    """Where an unknown key belongs, or which one was meant: of this table first, then of the others."""

    def place(other: str) -> str:
        return f"into the table [{other}]" if other else "above all tables"

    if key in places:
        return f"it belongs {place(places[key][0])}"
    near = difflib.get_close_matches(key, hints, n=1, cutoff=0.75)
    elsewhere = [] if near else difflib.get_close_matches(key, places, n=1, cutoff=0.75)
    if elsewhere:
        return f"did you mean {elsewhere[0]!r}, which belongs {place(places[elsewhere[0]][0])}?"
    near = near or difflib.get_close_matches(key, hints, n=1, cutoff=0)
    return f"did you mean {near[0]!r}? known: {', '.join(hints)}"


def _is_table(hint: Any) -> bool:
    return isinstance(hint, type) and issubclass(hint, msgspec.Struct)


def format_toml(settings: Settings) -> str:
    """`settings` as TOML that `read_toml` reads again; a record in a record becomes a table.

    Raises:
        InputError: a text is not Unicode, such as the name of a file in another encoding.
    """
    lines, tables = [], []
    for key, value in ((key, getattr(settings, key)) for key in settings.__struct_fields__):
        if isinstance(value, Settings):
            tables.append(f"\n[{key}]\n{format_toml(value)}")
        else:
            lines.append(f"{key} = {_format_value(key, value)}\n")
    return "".join([*lines, *tables])


def _format_value(key: str, value: object) -> str:
    # JSON's texts, numbers and arrays are TOML's too, but for two: pairs of surrogates, and DEL as it is
    text = json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InputError(f"{key} = {value!r} is not UTF-8, and TOML cannot hold it; rename the file")
    return text
