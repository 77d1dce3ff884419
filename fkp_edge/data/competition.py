"""Kaggle's competition: its files, and the submission."""

from __future__ import annotations

import difflib
import shutil
import subprocess
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.keypoints import Points
from fkp_edge.data.kaggle import COLUMNS, table_rows, whole_number
from fkp_edge.errors import InputError, MissingPartError

__all__ = ["COMPETITION", "Wanted", "fetch_competition", "read_lookup", "submission"]

COMPETITION = "facial-keypoints-detection"
WANTED = ("training.zip", "test.zip", "IdLookupTable.csv")
MAX_BYTES = 2 * 2**30


def fetch_competition(out: Path) -> list[Path]:
    """Downloads the competition into `out` and unpacks it; the paths of training.csv, test.csv and IdLookupTable.csv.

    Raises:
        MissingPartError: the `kaggle` client is not installed.
        InputError: the client refuses (no account, rules not accepted, no network), or something else came.
    """
    client = shutil.which("kaggle")
    if client is None:
        raise MissingPartError(
            "Kaggle's client is not installed; it fetches the competition's files: pip install kaggle"
        )
    out.mkdir(parents=True, exist_ok=True)
    command = [client, "competitions", "download", "-c", COMPETITION, "-p", str(out)]
    # its progress goes to stderr, as ours does; what it complains about comes on stdout
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)  # noqa: S603 - the user's own client
    if done.returncode:
        last = (done.stdout.strip().splitlines() or ["no message"])[-1]
        raise InputError(
            f"kaggle ended with {done.returncode}: {last}; set up its API token and accept the rules on the page of "
            f"{COMPETITION}"
        )
    _unpack(out / f"{COMPETITION}.zip", out)
    for name in ("training", "test"):
        if not _is_whole(out / f"{name}.csv", out / f"{name}.zip"):
            _unpack(out / f"{name}.zip", out)
    paths = [out / name for name in ("training.csv", "test.csv", "IdLookupTable.csv")]
    if lost := next((path for path in paths if not path.is_file()), None):
        raise InputError(f"the download has no {lost.name}; expected the files of {COMPETITION}")
    return paths


def _is_whole(path: Path, packed: Path) -> bool:
    """Whether `path` is there, with as many bytes as `packed` says, where that is there."""
    if not path.exists() or not packed.exists():
        return path.exists()
    try:
        with zipfile.ZipFile(packed) as archive:
            sizes = [info.file_size for info in archive.infolist() if Path(info.filename).name == path.name]
    except (OSError, zipfile.BadZipFile):
        return True  # nothing better is to be had
    return path.stat().st_size in sizes


def _unpack(path: Path, out: Path) -> None:
    """Unpacks the competition's members of `path` into `out`, by their plain names, each whole or not at all."""
    try:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                name = Path(info.filename).name
                if name in WANTED or name in ("training.csv", "test.csv"):
                    if info.file_size > MAX_BYTES:
                        raise InputError(
                            f"{path}: {name} unpacks to {info.file_size} bytes, expected at most {MAX_BYTES}"
                        )
                    partial = out / f"{name}.partial"
                    with archive.open(info) as source, partial.open("wb") as target:
                        shutil.copyfileobj(source, target)
                    partial.replace(out / name)
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        raise InputError(f"cannot unpack {path}: {error}; expected what Kaggle's client downloads") from error


class Wanted(NamedTuple):
    """One line of IdLookupTable.csv."""

    row: int
    """RowId."""
    image: int
    """ImageId."""
    column: int
    """Which of the 30 coordinates."""


def read_lookup(path: Path) -> list[Wanted]:
    """The lines of an IdLookupTable.csv.

    Raises:
        InputError: a column is missing, an id is no whole number, or a feature is none of Kaggle's 30 coordinates.
    """
    wanted = []
    for where, cells in table_rows(path, ("RowId", "ImageId", "FeatureName"), "Kaggle's RowId, ImageId, FeatureName"):
        row, image, feature = cells
        if feature not in COLUMNS:
            near = difflib.get_close_matches(feature, COLUMNS, n=1, cutoff=0)[0]
            raise InputError(f"{where} column FeatureName: {feature[:40]!r} is no coordinate; did you mean {near!r}?")
        numbers = whole_number(row, where, "RowId"), whole_number(image, where, "ImageId")
        wanted.append(Wanted(*numbers, COLUMNS.index(feature)))
    return wanted


def submission(wanted: list[Wanted], points: Mapping[int, Points]) -> str:
    """The submission as CSV text.

    Args:
        wanted: which coordinates, as `read_lookup` gives them.
        points: ImageId -> its points (15, 2), pixels of the 96x96 picture; clipped to 0..96, as Kaggle wants them.

    Raises:
        InputError: a wanted picture has no points.
    """
    lines = ["RowId,Location"]
    for row, image, column in wanted:
        if image not in points:
            raise InputError(
                f"IdLookupTable.csv asks for ImageId {image}, which test.csv lacks; expected files of one set"
            )
        value = min(max(float(points[image].ravel()[column]), 0.0), float(CROP_SIZE))
        lines.append(f"{row},{value:.4f}")
    return "\n".join(lines) + "\n"
