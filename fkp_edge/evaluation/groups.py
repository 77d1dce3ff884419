"""For whom a model works: found faces, score, jitter and error by groups of people, and the gaps between groups."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import extract, tracked_crop
from fkp_edge.core.keypoints import Points
from fkp_edge.data import read_picture, read_pts
from fkp_edge.data.kaggle import read_header_row, table_rows
from fkp_edge.data.pictures import find_pictures
from fkp_edge.errors import InputError
from fkp_edge.evaluation.evaluate import FOUND, TRACK_POINT_ERROR
from fkp_edge.evaluation.metrics import bootstrap_interval, face_nme, wilson_interval
from fkp_edge.model.interpreter import KeypointModel

__all__ = [
    "AGE_GENDER_RACE",
    "BEHIND_FOUND",
    "BEHIND_JITTER",
    "MIN_PICTURES",
    "GroupedPictures",
    "evaluate_groups",
    "held_out",
    "person_named",
    "read_groups",
]

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


LOOKS = 8
"""Crops of each found face, as tracking would frame it."""
MIN_PICTURES = 50
"""A group with fewer is listed, but in no gap: its figures are mostly chance."""
BEHIND_FOUND = 2.0
"""Points of found rate below all pictures from which a group is behind."""
BEHIND_JITTER = 0.10
"""Share of jitter above all pictures from which a group is behind."""

Find = Callable[[NDArray[np.uint8]], Sequence[Points]]
Floats = NDArray[np.float64]


def evaluate_groups(model: KeypointModel, pictures: GroupedPictures, *, find: Find, seed: int = 0) -> dict[str, Any]:
    """The figures of every group, of all pictures, and the largest gap in each attribute.

    Args:
        model: gives points and scores.
        pictures: one face each; a picture with a .pts beside it has an NME, too.
        find: points (K, 2) of the faces that the whole pipeline reports in a grey picture, the best first.
        seed: of the crops.

    Returns:
        `pictures`, `all`, `groups` (attribute -> group -> figures) and `gaps` (attribute -> `found` and `jitter`, each
        with `best`, `worst` and `gap`). Figures: `pictures`, `found_percent`, mean `score` and `jitter_percent` of the
        found, `nme_percent` where there are labels, each with `..._interval` (95 %), and `behind`, a list of what is
        behind all pictures. Jitter is how far points move when the crop does: the root mean square of their distance
        from their mean over crops as tracking frames them, in percent of the outer eye corners' distance.
    """
    rng = np.random.default_rng(seed)
    measured = np.array([_measure(model, path, find, rng) for path in pictures.paths])
    whole = _figures(measured)
    groups = {
        attribute: {
            name: _figures(measured[np.array(names) == name], whole) for name in sorted(set(names), key=_reading_order)
        }
        for attribute, names in pictures.groups.items()
    }
    gaps = {attribute: _gaps(of) for attribute, of in groups.items()}
    return {"pictures": len(measured), "all": whole, "groups": groups, "gaps": gaps}


def _reading_order(name: str) -> tuple[float, str]:
    """Age bands by their first number, the rest by name."""
    first = name.split()[0]
    return (float(first) if first.isascii() and first.isdigit() else float("inf"), name)


def _measure(model: KeypointModel, path: Path, find: Find, rng: np.random.Generator) -> tuple[float, ...]:
    """Found (0 or 1), score, jitter and NME of one picture; NaN for what there is not."""
    picture, labels, nan = read_picture(path), path.with_suffix(".pts"), float("nan")
    reported, error = list(find(picture)), nan
    if labels.is_file():
        truth = read_pts(labels, model.schema)
        errors = [float(face_nme(points[None], truth[None], model.schema)[0]) for points in reported]
        error = min(errors, default=nan)
        reported = [reported[errors.index(error)]] if error <= FOUND else []
    if not reported:
        return 0.0, nan, nan, nan
    points, schema = reported[0], model.schema
    crops = [tracked_crop(points, schema, rng, point_error=TRACK_POINT_ERROR) for _ in range(LOOKS)]
    looks = [(crop, *model.predict(extract(picture, crop))) for crop in crops]
    seen = np.stack([crop.to_frame(units) for crop, units, _ in looks]).astype(np.float64)
    mean = seen.mean(0)
    spread = np.sqrt(((seen - mean) ** 2).sum(-1).mean()) / schema.inter_ocular(mean)
    return 1.0, float(np.mean([score for *_, score in looks])), float(spread), error


def _figures(measured: Floats, whole: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The figures of the rows of `measured`; `whole` are those of all pictures, to be compared with."""
    found = measured[:, 0]
    figures: dict[str, Any] = {
        "pictures": len(found),
        "found_percent": 100 * float(found.mean()),
        "found_interval": [100 * bound for bound in wilson_interval(int(found.sum()), len(found))],
    }
    for column, (name, unit) in enumerate((("score", ""), ("jitter", "_percent"), ("nme", "_percent")), 1):
        known = measured[np.isfinite(measured[:, column]), column] * (100 if unit else 1)
        if len(known):
            figures[f"{name}{unit}"] = float(known.mean())
            figures[f"{name}_interval"] = list(bootstrap_interval(known))
    if whole is not None and len(found) >= MIN_PICTURES:
        lost = whole["found_percent"] - figures["found_percent"]
        more = figures.get("jitter_percent", 0) / whole.get("jitter_percent", np.inf) - 1
        figures["behind"] = ["found"] * bool(lost > BEHIND_FOUND) + ["jitter"] * bool(more > BEHIND_JITTER)
    return figures


def _gaps(groups: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The largest gap between two groups of enough pictures: points of found rate, and percent of jitter."""
    large = {name: figures for name, figures in groups.items() if figures["pictures"] >= MIN_PICTURES}
    gaps: dict[str, Any] = {}
    if len(large) < 2:
        return gaps
    order = sorted(large, key=lambda name: -float(large[name]["found_percent"]))
    gap = large[order[0]]["found_percent"] - large[order[-1]]["found_percent"]
    gaps["found"] = {"best": order[0], "worst": order[-1], "gap_points": gap}
    order = sorted((n for n in large if "jitter_percent" in large[n]), key=lambda n: float(large[n]["jitter_percent"]))
    if len(order) > 1:
        ratio = large[order[-1]]["jitter_percent"] / large[order[0]]["jitter_percent"]
        gaps["jitter"] = {"best": order[0], "worst": order[-1], "gap_percent": 100 * (ratio - 1)}
    return gaps
