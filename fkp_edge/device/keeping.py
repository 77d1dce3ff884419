"""Faces kept as pictures while a run goes on, to label and learn from: off unless asked for, and bounded."""

from __future__ import annotations

import logging
import os
import queue
import threading
from pathlib import Path
from typing import Annotated

import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from fkp_edge.core.files import Closing, NotSyncedError, write_whole
from fkp_edge.core.geometry import crop_from_track, extract
from fkp_edge.core.keypoints import Points
from fkp_edge.core.observation import Face, Frame, Observation
from fkp_edge.core.settings import Seconds, Settings
from fkp_edge.data.chips import Chip, cut_chip
from fkp_edge.errors import InputError
from fkp_edge.model.interpreter import KeypointModel

__all__ = ["FaceKeeper", "KeepSettings", "check_keep"]

LOOKS = 5
"""Frames between two kept ones that `unsure` chooses from."""
USUAL_DOUBT, USUAL_JUMP, USUAL_DISAGREEMENT = 0.02, 0.05, 0.02
"""What a tracked face usually has: 1 - score; distance to the points one look before, and to those of the mirror image,
in eye distances. Multiples of these are added up."""
MAX_WAITING = 4
"""Chips that wait for a slow disk; more are let go."""
JOIN_S = 5.0

_log = logging.getLogger(__name__)


class KeepSettings(Settings, frozen=True, kw_only=True):
    """What is kept, and how much."""

    every_s: Seconds = 1.0
    """Between two kept frames at least."""
    unsure: bool = False
    """Of the frames in between, the one that the network is least sure of, instead of the next one."""
    max_faces: Annotated[int, Meta(ge=1, le=1_000_000)] = 2000
    """In the folder, with those of earlier runs."""
    max_mb: Annotated[float, Meta(gt=0, le=100_000)] = 100.0
    """The same in megabytes."""


def check_keep(folder: Path) -> None:
    """Refuses a place where no faces can be kept; makes nothing.

    Raises:
        InputError: it is no folder, or the one that it would lie in is missing or may not be written.
    """
    place = folder if folder.exists() else folder.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise InputError(f"--keep {folder} cannot be written; expected a folder, or a name in one that exists")


class FaceKeeper(Closing):
    """A sink that keeps chips of faces as `face-000001.jpg` and so on. A slow disk costs chips, not frames."""

    def __init__(self, folder: Path, settings: KeepSettings, model: KeypointModel) -> None:
        """Makes the folder, and counts what is in it.

        Args:
            folder: for the chips.
            settings: how many.
            model: looks at the mirror image of a face, for `unsure`; used in the thread that calls this sink.

        Raises:
            InputError: the folder cannot be made.
        """
        try:
            folder.mkdir(exist_ok=True)
            before = [entry for entry in os.scandir(folder) if entry.name.startswith("face-")]
            self._bytes = sum(entry.stat().st_size for entry in before)
        except OSError as error:
            raise InputError(f"--keep {folder} cannot be used: {error.strerror or error}; name another") from error
        numbers = [int(entry.name[5:11]) for entry in before if entry.name[5:11].isdigit()]
        self._next, self._count = max(numbers, default=0) + 1, len(before)
        self._folder, self._settings, self._model = folder, settings, model
        self._due_ns = self._look_ns = 0
        self._best: tuple[float, list[Chip]] | None = None
        self._last: dict[int, Points] = {}
        self.kept = 0
        """Chips written by this run."""
        self._full = False
        self._chips: queue.Queue[Chip | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._write, name="fkp-edge-keep", daemon=True)
        self._thread.start()

    def __call__(self, frame: Frame | None, observation: Observation) -> None:
        """Takes the frame's faces where one is due; never waits."""
        if frame is None or self._full or frame.captured_ns < self._look_ns:
            return
        faces = [face for face in observation.faces if not face.held]
        if not faces:
            return
        every_ns = round(self._settings.every_s * 1e9)
        if self._settings.unsure:
            self._look_ns = frame.captured_ns + every_ns // LOOKS
            doubt = max(self._doubt(frame.grey, face) for face in faces)
            self._last = {face.id: face.points for face in faces}
            if self._best is None or doubt > self._best[0]:
                self._best = (doubt, self._cut(frame, faces))
        else:
            self._best = (0.0, self._cut(frame, faces))
        self._due_ns = self._due_ns or frame.captured_ns + (every_ns if self._settings.unsure else 0)
        if frame.captured_ns >= self._due_ns:
            self._due_ns = frame.captured_ns + every_ns
            self._look_ns = self._look_ns if self._settings.unsure else self._due_ns
            self._hand_over()

    def _cut(self, frame: Frame, faces: list[Face]) -> list[Chip]:
        return [cut_chip(frame.grey, face.points) for face in faces]

    def _doubt(self, grey: NDArray[np.uint8], face: Face) -> float:
        """How unsure the network is of a face: low score, jump, disagreement with the mirror image."""
        schema = self._model.schema
        crop = crop_from_track(face.points, schema.mean_shape)
        units, _ = self._model.predict(np.ascontiguousarray(extract(grey, crop)[:, ::-1]))
        mirrored = crop.to_frame(schema.mirrored(units))
        eyes = max(float(schema.inter_ocular(face.points)), 1e-6)
        before = self._last.get(face.id, face.points)
        jump, other = (float(np.linalg.norm(face.points - p, axis=1).mean()) / eyes for p in (before, mirrored))
        return (1 - face.score) / USUAL_DOUBT + jump / USUAL_JUMP + other / USUAL_DISAGREEMENT

    def _hand_over(self) -> None:
        assert self._best is not None
        for chip in self._best[1]:
            try:
                self._chips.put_nowait(chip)
            except queue.Full:
                _log.debug("the disk is slow: a face is not kept")
        self._best = None

    def _write(self) -> None:
        while (chip := self._chips.get()) is not None:
            if self._full:
                continue
            content = chip.coded()
            limit = self._settings.max_mb * 1e6
            if self._count >= self._settings.max_faces or self._bytes + len(content) > limit:
                self._end(
                    f"{self._count} faces and {self._bytes / 1e6:.1f} MB are in it; raise the bounds of [keeping]"
                )
                continue
            try:
                write_whole({self._folder / f"face-{self._next:06d}.jpg": content})
            except NotSyncedError as error:
                _log.debug("%s", error)
            except InputError as error:  # a full disk, a stick pulled out: the stream goes on without
                self._end(str(error))
                continue
            self._next, self._count, self._bytes = self._next + 1, self._count + 1, self._bytes + len(content)
            self.kept += 1

    def _end(self, why: str) -> None:
        self._full = True
        _log.warning("keeping faces in %s ends: %s", self._folder, why)

    def close(self) -> None:
        """Writes what waits; twice is fine."""
        if self._thread.is_alive():
            self._chips.put(None)
            self._thread.join(JOIN_S)
