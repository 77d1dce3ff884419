"""Sweeps: one recipe trained with one change after the other, the figures of each on a line of a file."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fkp_edge.core.files import read_bounded, write_whole
from fkp_edge.core.settings import parse_settings, read_values
from fkp_edge.errors import InputError
from fkp_edge.train.inputs import check_unused
from fkp_edge.train.recipe import Recipe

if TYPE_CHECKING:
    from fkp_edge.evaluation.evaluate import Propose

__all__ = ["RESULTS", "SweepLine", "read_points", "train_sweep"]

RESULTS = "sweep.jsonl"
MAX_POINTS = 1000
MAX_BYTES = 2**24
POINT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""A point's run lies in a folder of its name."""


class SweepLine(msgspec.Struct, frozen=True, kw_only=True):
    """What one point of a sweep gave: a line of sweep.jsonl."""

    point: str
    recipe: Recipe
    """All of it, the changes made."""
    parameters: int
    nme_percent: dict[str, float]
    """Validation set -> NME in percent, labels' crops."""
    seconds: float
    """On the machine that trained it; of a run that was gone on with, since then."""

    @property
    def mean_nme_percent(self) -> float:
        """Over the sets, each as much."""
        return sum(self.nme_percent.values()) / len(self.nme_percent)


def read_points(recipe: Path, sweep: Path) -> dict[str, Recipe]:
    """The recipes of a sweep by the points' names: each is `recipe` with what a table of the file `sweep` changes.

    Raises:
        InputError: a file is missing or no TOML, a key or value is not a recipe's, a name is none of a folder, or there
            is no point.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     base, sweep = Path(folder, "base.toml"), Path(folder, "sweep.toml")
        ...     _ = base.write_text('name = "a"\n[data]\ntrain = {"t" = 1}\nval = ["v"]\n[fit]\nepochs = 9\n')
        ...     _ = sweep.write_text('[short]\nfit.epochs = 3\n')
        ...     read_points(base, sweep)["short"].fit.epochs
        3
    """
    base, changes = read_values(recipe), read_values(sweep)
    if base.get("kind", "keypointnet") != "keypointnet":
        raise InputError(f"{recipe} has kind = {base['kind']!r:.60}; a sweep is of recipes of kind 'keypointnet'")
    if not 0 < len(changes) <= MAX_POINTS:
        raise InputError(
            f"{sweep} has {len(changes)} points, expected 1 to {MAX_POINTS}: a table each, such as [short] with "
            "fit.epochs = 3"
        )
    points = {}
    for name, change in changes.items():
        if not isinstance(change, dict):
            raise InputError(f"{sweep}: {name:.60} stands outside a table; expected a point such as [short]")
        if not POINT_NAME.fullmatch(name):
            raise InputError(f"{sweep}: the point {name!r:.60} names no folder; expected letters, digits, . _ -")
        points[name] = parse_settings(_merged(base, change), Recipe, f"{sweep}: [{name}]")
    return points


def _merged(base: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """`base` with the keys of `change`, tables within tables alike."""
    return base | {
        key: _merged(base[key], value) if isinstance(value, dict) and isinstance(base.get(key), dict) else value
        for key, value in change.items()
    }


def train_sweep(
    points: dict[str, Recipe],
    *,
    data_dir: Path,
    out: Path,
    propose: Propose,
    start: Path | None = None,
    trust_code: bool = False,
    resume: bool = False,
) -> list[SweepLine]:
    """Trains each of `points` that has no line in `out`/sweep.jsonl, in `out`/NAME; the lines of all of them.

    The other arguments are those of `train.run.train`. Killed in a point, it goes on from that point's last epoch.

    Raises:
        InputError: `out` holds a sweep and `resume` is not given, or a line of another recipe under a point's name;
            and what `train_any` raises.
    """
    check_unused(out, resume=resume, record=RESULTS)
    done = {line.point: line for line in _read_lines(out / RESULTS)}
    for name in points.keys() & done.keys():
        if done[name].recipe != points[name]:
            raise InputError(
                f"{out / RESULTS} has the point {name} of another recipe; rename it, or name another --out"
            )
    from fkp_edge.train.registry import train_any

    for name, recipe in points.items():
        if name in done:
            continue
        started, folder = time.monotonic(), out / name
        result = train_any(
            recipe,
            data_dir=data_dir,
            out=folder,
            propose=propose,
            start=start,
            trust_code=trust_code,
            resume=(folder / "history.jsonl").exists(),
        )
        done[name] = SweepLine(
            point=name,
            recipe=recipe,
            parameters=msgspec.json.decode((folder / "model.json").read_bytes())["parameters"],
            nme_percent={each: found["nme_percent"] for each, found in result.validation.items()},
            seconds=time.monotonic() - started,
        )
        write_whole({out / RESULTS: b"".join(msgspec.json.encode(line) + b"\n" for line in done.values())})
    return [done[name] for name in points]


def _read_lines(path: Path) -> list[SweepLine]:
    """The lines of `path`; none where the file is missing."""
    if not path.exists():
        return []
    content = read_bounded(path, MAX_BYTES, "the lines of a sweep")
    try:
        return [msgspec.json.decode(line, type=SweepLine) for line in content.splitlines()]
    except msgspec.MsgspecError as error:
        raise InputError(f"{path} is damaged ({error}); name another --out") from error
