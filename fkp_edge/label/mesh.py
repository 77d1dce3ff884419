"""MediaPipe's attention mesh as the teacher. Needs mediapipe: `pip install 'fkp-edge[label]'`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.keypoints import IBUG68, Points
from fkp_edge.data import FaceSet, load
from fkp_edge.data.chips import Chip, cut_chip
from fkp_edge.device.image_detector import ImageDetector
from fkp_edge.errors import InputError, MissingPartError
from fkp_edge.label.habit import MIN_FACES, Habit, fit_habit
from fkp_edge.label.teachers import Marked, disagreement
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model

try:
    import mediapipe
    from mediapipe.python.solutions.face_mesh import FaceMesh
except ImportError as error:
    raise MissingPartError(
        f"--teacher mediapipe needs mediapipe ({error}); pip install 'fkp-edge[label]', or in a clone: "
        "pip install -e '.[label]'; or --teacher keypoints68-int8"
    ) from error

__all__ = ["MeshTeacher", "learn_habit"]

FINDS = "keypoints68-int8"
"""The shipped network that finds the faces that the mesh looks at."""
MAX_SEEN = 4
"""Faces that the mesh sees in a chip; the one that lies on the face counts."""
MAX_OFF = 0.3
"""Distance of the outer eye corners from where they are known, in eye distances, up to which it lies on it."""
OUTER_CORNERS = (263, 33)
"""Left and right outer eye corner in the mesh."""

Floats = NDArray[np.floating]
Grey = NDArray[np.uint8]


class _Mesh:
    """MediaPipe's network with its own detector, on one chip at a time; its models are in its wheel."""

    def __init__(self) -> None:
        self._mesh = FaceMesh(
            static_image_mode=True, max_num_faces=MAX_SEEN, refine_landmarks=True, min_detection_confidence=0.3
        )

    def both(self, chip: Chip) -> tuple[Floats, Floats] | None:
        """Meshes (478, 2) of a chip and of its mirror image, each in its own pixels; None where one is not seen."""
        width = chip.picture.shape[1]
        left, right = IBUG68.outer_corners
        eyes = chip.points[[left, right]]
        plain = self._look(chip.picture, eyes)
        mirrored = self._look(np.ascontiguousarray(chip.picture[:, ::-1]), _flipped(eyes, width)[::-1])
        return None if plain is None or mirrored is None else (plain, mirrored)

    def _look(self, grey: Grey, eyes: Floats) -> Floats | None:
        """The mesh whose eye corners lie on `eyes` (2, 2): left and right."""
        found = self._mesh.process(cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)).multi_face_landmarks or []
        height, width = grey.shape
        # share times side is a pixel whose centre has a whole number; see benchmarks/peers
        meshes = [np.array([(mark.x * width, mark.y * height) for mark in face.landmark]) for face in found]
        limit = MAX_OFF * float(np.linalg.norm(eyes[0] - eyes[1]))
        off = [float(np.linalg.norm(mesh[list(OUTER_CORNERS)] - eyes, axis=1).mean()) for mesh in meshes]
        best = int(np.argmin(off)) if off else -1
        return meshes[best] if off and off[best] <= limit else None


def _flipped(points: Floats, width: int) -> Floats:
    return np.asarray(points * (-1, 1) + (width - 1, 0))


class MeshTeacher:
    """The mesh and a habit as a teacher of iBUG's 68 points. Not for use by two threads at once."""

    schema = IBUG68

    def __init__(self, habit: Habit) -> None:
        """Looks at the faces that the shipped network finds; `habit` sets the points."""
        self._habit, self._mesh = habit, _Mesh()
        self._detector = ImageDetector(open_model(shipped_model(FINDS)))
        self.name = f"mediapipe {mediapipe.__version__}, habit of {habit.name}"

    def mark(self, grey: Grey) -> list[Marked]:
        """The faces of `grey` that the network finds and the mesh sees."""
        marked = (self._mark(cut_chip(grey, face.points)) for face in self._detector.find(grey))
        return [face for face in marked if face]

    def _mark(self, chip: Chip) -> Marked | None:
        meshes = self._mesh.both(chip)
        if meshes is None:
            return None
        one, mirrored = (self._habit.points(mesh) for mesh in meshes)
        other = _put_back(mirrored, chip.picture.shape[1])
        return Marked(chip.to_picture((one + other) / 2), disagreement(one, other, IBUG68))


def _put_back(points: Points, width: int) -> Points:
    """Points (68, 2) of a mirror image as points of the picture."""
    return np.asarray(_flipped(points[list(IBUG68.flip)], width), np.float32)


def learn_habit(folders: Sequence[Path], progress: Callable[[int, int], None] | None = None) -> Habit:
    """Looks at hand-labelled faces with the mesh, and learns where their points lie on it.

    Args:
        folders: of .pts beside their pictures, or of such folders.
        progress: told how many faces were looked at, and how many there are.

    Raises:
        InputError: there are fewer than 100 faces, or a folder cannot be read.
    """
    sets = [faces for folder in folders for faces in load(folder, IBUG68)]
    total = sum(map(len, sets))
    if total < MIN_FACES:
        named = ", ".join(map(str, folders))
        raise InputError(f"--habit {named} has {total} labelled faces; expected at least {MIN_FACES}, labelled by hand")
    mesh = _Mesh()
    meshes, points = [], []
    for number, chip in enumerate(_chips(sets), 1):
        if (both := mesh.both(chip)) is not None:
            meshes.append(both)
            mirrored = _flipped(chip.points, chip.picture.shape[1])[list(IBUG68.flip)]
            points.append((chip.points, mirrored))
        if progress:
            progress(number, total)
    return fit_habit(np.array(meshes).reshape(len(meshes), 2, -1, 2), np.array(points))


def _chips(sets: Sequence[FaceSet]) -> Iterator[Chip]:
    for faces in sets:
        for picture, points in zip(faces.images, faces.points, strict=True):
            yield cut_chip(picture, points)
