"""A user's own labelled faces: which train and which are held out, beside the faces that trained a network before."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fkp_edge import data
from fkp_edge.core.keypoints import Schema
from fkp_edge.data import FaceSet
from fkp_edge.data.pictures import PICTURE_SUFFIXES
from fkp_edge.errors import InputError
from fkp_edge.train.recipe import Data

__all__ = ["HELD", "TRAIN", "OwnFaces", "read_own_faces"]

HELD_SHARE = 0.25
MIN_TRAIN, MIN_HELD = 20, 8
EPOCH_FACES = 1500
"""Shown in an epoch of own faces alone: some dozen steps, however few they are."""
TRAIN, HELD, ORIGINAL = "train/own", "held/own", "original"
"""Folders of the layout."""


@dataclass(frozen=True)
class OwnFaces:
    """Files of the user's faces, apart."""

    train: tuple[Path, ...]
    """NAME.pts files that train."""
    held: tuple[Path, ...]
    """NAME.pts files that judge."""
    original: Path | None
    """Folder that holds the sets of the network's own recipe."""

    def lay_out(self, folder: Path) -> Path:
        """Makes `folder` with links to all files, as recipes name them, and returns it."""
        for place, files in ((TRAIN, self.train), (HELD, self.held)):
            (folder / place).mkdir(parents=True, exist_ok=True)
            several = len({file.parent for file in files}) > 1
            for file in files:
                stem = f"{file.parent.name}-{file.stem}" if several else file.stem
                picture = next(p for p in _pictures(file) if p.is_file())
                _link(folder / place / f"{stem}{picture.suffix}", picture)
                _link(folder / place / f"{stem}.pts", file)
        if self.original:
            _link(folder / ORIGINAL, self.original)
        return folder

    def sets(self, known: Data) -> tuple[dict[str, int], tuple[str, ...], tuple[str, str]]:
        """Training sets, validation sets and the two folders of photographs; `known` is what the network learnt from.

        Raises:
            InputError: a set that it learnt from is missing in `original`.
        """
        if self.original is None:
            return {TRAIN: 1}, (HELD,), ("", "")
        for name in (*known.train, *known.val):
            if not (self.original / name).exists():
                raise InputError(
                    f"--original {self.original} has no {name}, which the network learnt from; expected its data "
                    "folder, or leave --original out"
                )
        scenes = [
            f"{ORIGINAL}/{n}" if n and (self.original / n).exists() else "" for n in (known.scenes, known.val_scenes)
        ]
        shown = {TRAIN: 1} | {f"{ORIGINAL}/{name}": times for name, times in known.train.items()}
        return shown, (HELD, *(f"{ORIGINAL}/{name}" for name in known.val)), (scenes[0], scenes[1])

    def times(self, known: Data, schema: Schema, share: float) -> int:
        """How often an epoch shows each own face: so that they are `share` of it, or, alone, `EPOCH_FACES`."""
        if self.original is None:
            return max(1, round(EPOCH_FACES / len(self.train)))
        others = sum(len(data.load_one(self.original / name, schema)) * times for name, times in known.train.items())
        return max(1, round(others * share / (1 - share) / len(self.train)))


def _pictures(file: Path) -> list[Path]:
    return [file.with_suffix(suffix) for suffix in sorted(PICTURE_SUFFIXES)]


def _link(place: Path, target: Path) -> None:
    place.unlink(missing_ok=True)
    place.symlink_to(target.resolve())


def read_own_faces(
    folder: Path, schema: Schema, *, held_out: Path | None = None, original: Path | None = None
) -> OwnFaces:
    """The labelled faces of a user.

    Args:
        folder: of .pts beside their pictures, or of such folders, as `fkp-edge label` makes them.
        schema: the points that the network gives.
        held_out: more such faces, which judge alone; the last quarter of each folder's names where None. Neighbours in
            a video look alike: the end of a video tells more than frames out of its middle.
        original: folder with the sets that trained the network before.

    Raises:
        InputError: there are too few faces, or a folder cannot be read.
    """
    sets = _load(folder, schema)
    if held_out:
        train = [file for faces, files in sets for file in files]
        held = [file for faces, files in _load(held_out, schema) for file in files]
        if both := {file.resolve() for file in train} & {file.resolve() for file in held}:
            raise InputError(f"{min(both)} is in --data and in --held-out; expected other faces to judge on")
    else:
        parts = [_part(faces, files) for faces, files in sets]
        train, held = ([file for part in parts for file in part[which]] for which in (0, 1))
    if len(train) < MIN_TRAIN or len(held) < MIN_HELD:
        raise InputError(
            f"{folder} has {len(train)} labelled faces to train on and {len(held)} to judge on; expected at least "
            f"{MIN_TRAIN} and {MIN_HELD}: label more"
        )
    if original is not None and not original.is_dir():
        raise InputError(f"--original {original} is no folder; expected the data that the network learnt from")
    return OwnFaces(tuple(train), tuple(held), original)


def _load(folder: Path, schema: Schema) -> list[tuple[FaceSet, list[Path]]]:
    """Each set below `folder`, checked, with its .pts files."""
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder; expected labelled faces as fkp-edge label makes them")
    found = data.load(folder, schema)
    places = [folder, *sorted(path for path in folder.iterdir() if path.is_dir())]
    lists = [files for files in (sorted(place.glob("*.pts")) for place in places) if files]
    return list(zip(found, lists, strict=True))


def _part(faces: FaceSet, files: list[Path]) -> tuple[list[Path], list[Path]]:
    """The first faces and the last quarter; a person is on one side."""
    cut = len(files) - round(HELD_SHARE * len(files))
    while 0 < cut < len(files) and faces.people and faces.people[cut] == faces.people[cut - 1]:
        cut -= 1
    return files[:cut], files[cut:]
