"""`fkp-edge data ...`: describes labelled files, shows samples, writes Kaggle's submission, fetches its files."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.cli.predict import open_model_of
from fkp_edge.cli.terminal import to_json
from fkp_edge.core.files import write_whole
from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.keypoints import FKP15
from fkp_edge.data import load_one, read_kaggle_test
from fkp_edge.data.competition import fetch_competition, read_lookup, submission
from fkp_edge.data.description import Description, draw_overview, draw_samples
from fkp_edge.data.description import describe as describe_faces
from fkp_edge.errors import InputError

__all__ = ["data"]

MAX_SHOWN = 12
"""Duplicates and suspicions printed; --json has them all."""


def data(args: Namespace) -> int:
    """Does what is asked of labelled files."""
    actions = {"describe": _describe, "samples": _samples, "submit": _submit, "kaggle": _fetch}
    return actions[args.action](args)


def _describe(args: Namespace) -> int:
    """What a labelled file holds, and what looks wrong in it."""
    faces = load_one(args.file, FKP15)
    found = describe_faces(faces)
    if args.picture:
        _write_picture(args.picture, draw_overview(faces, found))
    print(to_json(found) if args.json else _as_text(found))
    return 0


def _as_text(found: Description) -> str:
    sizes = ", ".join(f"{count} of {size}" for size, count in found.picture_sizes.items())
    counts = ", ".join(f"{rows} rows have {n}" for n, rows in found.labelled_per_row.items())
    lines = [
        f"{found.name}: {found.rows} rows, {found.complete_rows} complete ({counts} points)",
        f"pictures: {sizes}; grey level {found.grey_mean:.0f}, spread {found.grey_spread:.0f}",
        "",
        f"{'point':<28}{'labelled':>9}{'missing %':>10}{'mean x, y px':>16}{'spread x, y px':>17}",
    ]
    for point in found.points:
        mean = "{:.1f}, {:.1f}".format(*point.mean_px) if point.mean_px else "-"
        spread = "{:.1f}, {:.1f}".format(*point.spread_px) if point.spread_px else "-"
        lines.append(f"{point.name:<28}{point.labelled:>9}{point.missing_percent:>10.1f}{mean:>16}{spread:>17}")
    lines += ["", f"{len(found.duplicates)} groups of equal pictures" + (":" if found.duplicates else "")]
    lines += [f"  {' = '.join(group)}" for group in found.duplicates[:MAX_SHOWN]]
    lines += [f"{len(found.suspicious)} suspicious labels" + (", the oddest first:" if found.suspicious else "")]
    lines += [f"  {item.row}: {item.what}" for item in found.suspicious[:MAX_SHOWN]]
    return "\n".join(lines)


def _samples(args: Namespace) -> int:
    """A sheet of faces with their labelled points."""
    faces = load_one(args.file, FKP15)
    _write_picture(args.out, draw_samples(faces, count=args.count, seed=args.seed))
    return 0


def _submit(args: Namespace) -> int:
    """Kaggle's submission file from a model file and the competition's test set."""
    model = open_model_of(args)
    if model.schema is not FKP15:
        raise InputError(f"{model.file.path} speaks {model.schema.name}; expected a model of Kaggle's 15 points, fkp15")
    wanted = read_lookup(args.data / "IdLookupTable.csv")
    test = args.data / "test.csv"
    ids, pictures = read_kaggle_test(test if test.exists() else args.data / "test.zip")
    points = {
        number: np.asarray(model.predict(picture)[0] * CROP_SIZE - 0.5, np.float32)
        for number, picture in zip(ids, pictures, strict=True)
    }
    write_whole({args.out: submission(wanted, points).encode()})
    print(f"{args.out}: {len(wanted)} coordinates of {len(ids)} pictures", file=sys.stderr)
    return 0


def _fetch(args: Namespace) -> int:
    """The competition's files, through Kaggle's client."""
    for path in fetch_competition(args.out):
        print(path)
    return 0


def _write_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    write_whole({path: cv2.imencode(".png", picture)[1].tobytes()})
    print(f"drawn: {path}", file=sys.stderr)
