"""A run killed at any point of an epoch's end goes on, and its history says what its checkpoint knows.

The folder just before each file operation is what a kill leaves there. Python's operations are heard by an audit hook;
TensorFlow's, which it cannot hear, are made again one by one from the folder before and after them: it writes each file
beside its place and renames it, the list of checkpoints last.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.train.batches import BatchMaker, TrainingSet
from fkp_edge.train.fit import Fitter, append_line, keep_epochs, whole_lines
from fkp_edge.train.networks import build_keypointnet
from fkp_edge.train.proposals import Negatives
from fkp_edge.train.recipe import Data, Fit, Network, Recipe

NETWORK = Network(stem=4, blocks=((4, 2, 1), (4, 2, 1), (4, 2, 1)), head=4, squeeze=4)
EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate"}


class Snapshots:
    """Copies of a folder before each file operation in it, while it is watched."""

    def __init__(self) -> None:
        self.watched: Path | None = None
        self.taken: list[Path] = []
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.watched and event in EVENTS and str(arguments[0]).startswith(str(self.watched)):
            self.take()

    def take(self) -> None:
        watched, self.watched = self.watched, None
        assert watched
        copy = watched.with_name(f"kill{len(self.taken)}")
        shutil.copytree(watched, copy)
        self.taken.append(copy)
        self.watched = watched

    @contextmanager
    def of(self, folder: Path) -> Iterator[None]:
        self.watched = folder
        try:
            yield
            self.take()
        finally:
            self.watched = None


SNAPSHOTS = Snapshots()


def fitter(faces: FaceSet, out: Path, epochs: int = 4) -> Fitter:
    fit = Fit(epochs=epochs, batch=6, negatives=0)
    recipe = Recipe(name="t", data=Data(train={}, val=()), fit=fit, network=NETWORK)
    batches = BatchMaker([TrainingSet(faces, 1, [[]] * len(faces))], Negatives([], [], []), recipe)
    return Fitter(recipe, faces.schema, lambda: build_keypointnet(NETWORK, 15), batches, [faces], out)


def between(before: Path, after: Path) -> Iterator[Path]:
    """`before`, and what it is after each of the operations that make `after` of it."""
    yield before
    written = [p for p in after.rglob("*") if p.is_file() and not same(p, before / p.relative_to(after))]
    written.sort(key=lambda p: ["history.jsonl", ".data", ".index", "checkpoint"].index(kind_of(p)))
    gone = [p for p in before.rglob("*") if p.is_file() and not (after / p.relative_to(before)).exists()]
    last = before
    for number, path in enumerate([*written, *gone]):
        left = shutil.copytree(last, after.with_name(f"{after.name}-{number}"))
        place = left / path.relative_to(after if path in written else before)
        place.parent.mkdir(exist_ok=True)
        place.unlink(missing_ok=True)
        if path in written:
            shutil.copy(path, place)
        yield left
        last = left


def same(path: Path, other: Path) -> bool:
    return other.exists() and path.read_bytes() == other.read_bytes()


def kind_of(path: Path) -> str:
    return path.suffix.split("-")[0] if path.name.startswith("ckpt") else path.name


def epochs_of(out: Path) -> list[int]:
    return [json.loads(line)["epoch"] for line in (out / "history.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, faces: FaceSet) -> list[Path]:
    """What kills at the ends of epochs 2 to 4 leave."""
    out = tmp_path_factory.mktemp("run") / "out"
    out.mkdir()
    fitter(faces, out, 1).run()
    again = fitter(faces, out)
    again.resume()
    with SNAPSHOTS.of(out):
        again.run()
    return [left for pair in pairwise(SNAPSHOTS.taken) for left in between(*pair)] + SNAPSHOTS.taken[-1:]


def test_a_run_killed_at_any_file_operation_goes_on(run: list[Path], faces: FaceSet, tmp_path: Path) -> None:
    assert len(run) >= 16
    reached = set()
    for number, left in enumerate(run):
        out = shutil.copytree(left, tmp_path / str(number))
        done = fitter(faces, out).resume()
        assert epochs_of(out) == list(range(1, done + 1))
        reached.add(done)
    assert reached == {1, 2, 3, 4}


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_line_cut_short_costs_its_epoch_only(run: list[Path], faces: FaceSet, tmp_path: Path, share: float) -> None:
    out = shutil.copytree(run[0], tmp_path / "out")
    line = json.dumps({"epoch": 2, "loss": 1.0}).encode() + b"\n"
    with (out / "history.jsonl").open("ab") as file:
        file.write(line[: int(share * len(line))])
    assert fitter(faces, out).resume() == 1
    assert epochs_of(out) == [1]


def test_a_newest_checkpoint_that_is_damaged_costs_its_epoch_only(
    run: list[Path], faces: FaceSet, tmp_path: Path
) -> None:
    out = shutil.copytree(run[-1], tmp_path / "out")
    for part in (out / "checkpoints").glob("ckpt-4.*"):
        part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    goes_on = fitter(faces, out)
    assert goes_on.resume() == 3
    assert epochs_of(out) == [1, 2, 3]
    goes_on.run()
    assert epochs_of(out) == [1, 2, 3, 4]


def test_without_any_checkpoint_that_can_be_read_the_folder_is_named(
    run: list[Path], faces: FaceSet, tmp_path: Path
) -> None:
    out = shutil.copytree(run[-1], tmp_path / "out")
    for part in (out / "checkpoints").glob("ckpt-*.index"):
        part.write_bytes(b"")
    with pytest.raises(InputError, match=r"no checkpoint in .* can be read; name another --out"):
        fitter(faces, out).resume()


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "history.jsonl"
    append_line(path, b'{"epoch": 1}')
    append_line(path, b"{}")
    with pytest.raises(InputError, match=r"history\.jsonl is damaged"):
        keep_epochs(path, 1)
    assert len(whole_lines(path)) == 2
