"""What a power cut left on a disk: whether it is what it may be."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fkp_edge.errors import FkpEdgeError
from fkp_edge.model.deployment import install_model, previous_of, replaced_at
from fkp_edge.stream.recording.recording import read_recording

from .image import run

__all__ = ["Cut", "Said", "examine", "mounted", "read_said"]

PLACE = "model.tflite"
SYNCED_S = 2.5
"""A recording is synced once a second; under emulation the sync itself takes its time."""


@dataclass
class Said:
    """What the guest had said when the power went."""

    wanted: str = ""
    """sha256 of the file whose change was begun last."""
    placed: str = ""
    """sha256 of the file whose change was reported as done last."""
    meanwhile: set[str] = field(default_factory=set)
    """sha256 of files that were placed while the disk was copied."""
    done: int = 0
    """Changes that were reported as done."""
    sizes: list[tuple[float, dict[str, int]]] = field(default_factory=list)
    """Guest time, and bytes in each recording."""

    def synced(self) -> dict[str, int]:
        """Bytes of each recording that must be on the disk."""
        last_s = self.sizes[-1][0] if self.sizes else 0.0
        old = [sizes for uptime_s, sizes in self.sizes if uptime_s <= last_s - SYNCED_S]
        return old[-1] if old else {}


@dataclass(frozen=True)
class Cut:
    """What was found after one cut."""

    problems: list[str]
    """What should not be; none where all is well."""
    state: str
    """Where the change was cut: before, after, or `half` where a file is still called .replaced."""
    frames: dict[str, int]
    """Lines of each recording that can be read."""


def read_said(before: str, after: str, first: str) -> Said:
    """What the load printed, the last line perhaps cut off.

    Args:
        before: its output when the copying of the disk began.
        after: its output when that had ended.
        first: sha256 of the file that was in place before it began.
    """
    said = Said(wanted=first, placed=first)
    for entry in _entries(before):
        if "wanted" in entry:
            said.wanted = entry["wanted"]
        elif "placed" in entry:
            said.placed, said.done = entry["placed"], said.done + 1
        elif "sizes" in entry:
            said.sizes.append((entry["uptime_s"], entry["sizes"]))
    said.meanwhile = {entry["wanted"] for entry in _entries(after[before.rfind("\n") + 1 :]) if "wanted" in entry}
    return said


def _entries(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            yield json.loads(line)


@contextlib.contextmanager
def mounted(disk: Path, options: str = "defaults") -> Iterator[Path]:
    """A raw disk, mounted here; a journal is replayed as at a boot."""
    folder = Path(tempfile.mkdtemp(prefix="box-"))
    run("mount", "-o", f"loop,{options}", disk, folder)
    try:
        yield folder
    finally:
        run("umount", folder)
        folder.rmdir()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""


def examine(folder: Path, said: Said, models: Sequence[Path]) -> Cut:
    """Looks at the service's folder after a cut; then the next change is made there.

    Args:
        folder: what was /var/lib/fkp-edge.
        said: by the guest.
        models: the two files that were changed between.
    """
    place = folder / PLACE
    kept = {
        name: _digest(path)
        for name, path in (("place", place), ("previous", previous_of(place)), ("replaced", replaced_at(place)))
    }
    problems = []
    if kept["place"] not in {said.placed, said.wanted} | said.meanwhile:
        problems.append(f"{PLACE} is {kept['place'][:8] or 'gone'}, expected {said.placed[:8]} or {said.wanted[:8]}")
    whole = {_digest(model) for model in models}
    problems += [
        f"{name} is no model that was installed" for name, found in kept.items() if found and found not in whole
    ]
    if said.done > 1 and whole - set(kept.values()):
        problems.append(f"a model is lost: {kept}")
    state = "half" if kept["replaced"] else "after" if kept["place"] == said.wanted else "before"
    frames = _read_recordings(folder, said, problems)
    other = next(model for model in models if _digest(model) != kept["place"])
    try:
        placed = install_model(other, place)
        left = sorted(path.name for path in folder.glob(f"*{PLACE}*") if path not in (place, previous_of(place)))
        if not placed.is_new or left:
            problems.append(f"the next install leaves {left or 'the old file'}")
    except FkpEdgeError as error:
        problems.append(f"the next install fails: {error}")
    return Cut(problems, state, frames)


def _read_recordings(folder: Path, said: Said, problems: list[str]) -> dict[str, int]:
    frames = {}
    for path in sorted(folder.glob("*.jsonl*")):
        try:
            frames[path.name] = sum(1 for _ in read_recording(path))
        except FkpEdgeError as error:
            problems.append(str(error))
            frames[path.name] = 0
    for name, size in said.synced().items():
        found = (folder / name).stat().st_size if (folder / name).exists() else 0
        if found < size:
            problems.append(f"{name} has {found} bytes, {size} were there {SYNCED_S} s before the cut")
    return frames
