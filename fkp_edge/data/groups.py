"""Groups of people that pictures show, from file names or a CSV, and which pictures are kept for testing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from fkp_edge.data.kaggle import read_header_row, table_rows
from fkp_edge.data.pictures import find_pictures
from fkp_edge.errors import InputError

__all__ = ["AGE_GENDER_RACE", "GroupedPictures", "held_out", "person_named", "read_groups"]

AGE_GENDER_RACE = "age_gender_race"
"""How UTKFace names its files: AGE_GENDER_RACE_TIME.jpg."""
AGES = ((0, 2), (3, 9), (10, 19), (20, 39), (40, 59), (60, 116))
GENDERS = ("male", "female")
RACES = ("white", "black", "Asian", "Indian", "others")
UNKNOWN = "unknown"
NAME = "name"
"""Column of a CSV of groups that names the picture."""
MAX_ATTRIBUTES = 20


@dataclass(frozen=True)
class GroupedPictures:
    """Pictures with one face each, and to which groups that person belongs."""

    paths: tuple[Path, ...]
    """N picture files."""
    groups: dict[str, tuple[str, ...]]
    """Attribute, such as `age` -> N groups, such as `0 to 2 years`."""


def person_named(name: str) -> dict[str, str]:
    """Age band, gender and race in a file name such as `26_0_2_20170104023102422.jpg`, in UTKFace's words.

    What the name lacks or spells otherwise is `unknown`.

    >>> person_named("26_0_2_20170104023102422.jpg")
    {'age': '20 to 39 years', 'gender': 'male', 'race': 'Asian'}
    """
    parts = name.split("_")
    age, gender, race = parts[:3] if len(parts) == 4 else (*parts[:2], "", "")[:3]
    return {
        "age": _band(age),
        "gender": GENDERS[int(gender)] if gender in ("0", "1") else UNKNOWN,
        "race": RACES[int(race)] if race in ("0", "1", "2", "3", "4") else UNKNOWN,
    }


def _band(age: str) -> str:
    if not (age.isascii() and age.isdigit() and len(age) < 4):
        return UNKNOWN
    years = int(age)
    return next((f"{low} to {high} years" for low, high in AGES if low <= years <= high), f"over {AGES[-1][1]} years")


def held_out(name: str, one_in: int) -> bool:
    """Whether the picture of this file name is kept for testing: the same answer everywhere."""
    return int.from_bytes(hashlib.sha1(name.encode(), usedforsecurity=False).digest(), "big") % one_in == 0


def read_groups(folder: Path, groups: str, *, one_in: int = 1) -> GroupedPictures:
    """The pictures of `folder` with their groups.

    Args:
        folder: of pictures with one face each.
        groups: `age_gender_race`, which reads the file names as UTKFace has them, or the path of a CSV with a column
            `name` (of the picture's file) and one column for each attribute. Pictures that it does not name are left
            out.
        one_in: take only the pictures that are `held_out` at this number; all where 1.

    Raises:
        InputError: there are no such pictures, none says a group, or the CSV is not as described.
    """
    paths = [path for path in find_pictures(folder) if held_out(path.name, one_in)]
    rows = {path.name: person_named(path.name) for path in paths}
    if groups == AGE_GENDER_RACE:
        if all(set(row.values()) == {UNKNOWN} for row in rows.values()):
            raise InputError(f"no picture in {folder} is named AGE_GENDER_RACE_TIME.jpg; name a CSV of groups instead")
    else:
        rows = _read_table(Path(groups), folder)
    kept = [path for path in paths if path.name in rows]
    if not kept:
        raise InputError(f"{groups} names none of the pictures in {folder}; expected their file names under {NAME}")
    attributes = rows[kept[0].name]
    return GroupedPictures(tuple(kept), {name: tuple(rows[path.name][name] for path in kept) for name in attributes})


def _read_table(path: Path, folder: Path) -> dict[str, dict[str, str]]:
    expected = f"a column {NAME} and one for each attribute"
    if not path.is_file():
        raise InputError(f"no groups at {path}; expected {AGE_GENDER_RACE} or a CSV with {expected}")
    columns = read_header_row(path)
    attributes = [column for column in columns if column != NAME]
    if NAME not in columns or not 1 <= len(set(attributes)) == len(attributes) <= MAX_ATTRIBUTES:
        raise InputError(f"{path} has the columns {', '.join(columns)[:80]}; expected {expected}, each once")
    rows: dict[str, dict[str, str]] = {}
    for where, (name, *cells) in table_rows(path, [NAME, *attributes], expected):
        if not (folder / Path(name).name).is_file():
            raise InputError(f"{where} names {name[:80]!r}, which is not in {folder}")
        rows[name] = dict(zip(attributes, (cell or UNKNOWN for cell in cells), strict=True))
    return rows
