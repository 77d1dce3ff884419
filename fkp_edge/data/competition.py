"""Fetches the competition's files through Kaggle's own client, where that is installed."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
import zlib
from pathlib import Path

from fkp_edge.errors import InputError, MissingPartError

__all__ = ["COMPETITION", "fetch_competition"]

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
