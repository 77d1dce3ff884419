"""Where hand-made mark-up sets its points on a mesh: learnt from labelled faces, kept as one small file."""

from __future__ import annotations

import hashlib
import io
import zipfile
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.files import read_bounded, write_whole
from fkp_edge.core.keypoints import IBUG68, Points
from fkp_edge.errors import InputError, MissingPartError

__all__ = ["MESH_POINTS", "MIN_FACES", "Habit", "fit_habit", "read_habit", "write_habit"]

MESH_POINTS = 478
"""Of MediaPipe's attention mesh: 468 and ten of the irises."""
MIN_FACES = 100
GAMMA, ALPHA = 3e-5, 0.03
"""Of the kernel, on standardised coordinates, and the ridge; chosen on val/lfpw and val/helen."""
COMPONENTS = 128
"""Principal components of the mesh that are kept: the file is a fifth as large, its points are the same."""
MAX_BYTES = 64 * 2**20
MAX_EXAMPLES = 40_000

Floats = NDArray[np.floating]


@dataclass(frozen=True, eq=False, kw_only=True)
class Habit:
    """Kernel ridge regression from a mesh of 478 points to iBUG's 68, in the frame that the mesh's own place and roll
    give. Arrays are float32."""

    reference: Floats
    """(478, 2), the mean mesh, around its middle and of size 1."""
    mean: Floats
    """(956,) of the coordinates in that frame."""
    deviation: Floats
    """(956,)."""
    basis: Floats
    """(956, D) principal components of the standardised coordinates."""
    examples: Floats
    """(N, D) faces learnt from."""
    weights: Floats
    """(N, 136) of each example."""
    target: Floats
    """(136,) the mean of the 68 points in that frame."""

    @property
    def name(self) -> str:
        """Short name of what was learnt: how many faces, and a hash."""
        found = hashlib.sha256(b"".join(np.ascontiguousarray(getattr(self, f.name)).tobytes() for f in fields(self)))
        return f"{len(self.examples) // 2} faces {found.hexdigest()[:12]}"

    def points(self, mesh: Floats) -> Points:
        """iBUG's 68 points (68, 2) of a `mesh` (478, 2), both in pixels of the picture."""
        frame, turn, middle = _normalised(mesh[None], self.reference)
        projected = ((_flat(frame) - self.mean) / self.deviation) @ self.basis
        kernel = np.exp(-GAMMA * ((self.examples - projected) ** 2).sum(1))
        found = (kernel @ self.weights + self.target).reshape(2, -1)
        placed = (found[0] + 1j * found[1]) * turn[0] + middle[0]
        return np.stack([placed.real, placed.imag], 1).astype(np.float32)


def fit_habit(meshes: Floats, points: Floats) -> Habit:
    """Learns where the mark-up of some faces sets its points.

    Args:
        meshes: (N, 2, 478, 2) of each picture and of its mirror image, pixels of that image.
        points: (N, 2, 68, 2) labelled, in the same order.

    Raises:
        InputError: these are fewer than `MIN_FACES` faces.
        MissingPartError: scikit-learn is not installed.
    """
    if len(meshes) < MIN_FACES:
        raise InputError(f"{len(meshes)} labelled faces are too few to learn from; expected at least {MIN_FACES}")
    try:
        from sklearn.decomposition import PCA
        from sklearn.kernel_ridge import KernelRidge
    except ImportError as error:
        raise MissingPartError(
            f"learning a habit needs scikit-learn ({error}); pip install 'fkp-edge[label]', or in a clone: "
            "pip install -e '.[label]'"
        ) from error
    flat = np.asarray(meshes, np.float64).reshape(-1, MESH_POINTS, 2)
    reference = _mean_mesh(flat)
    frame, turn, middle = _normalised(flat, reference)
    features = _flat(frame)
    mean, deviation = features.mean(0), features.std(0)
    pca = PCA(min(COMPONENTS, len(features) - 1), svd_solver="full").fit((features - mean) / deviation)
    examples = ((features - mean) / deviation) @ pca.components_.T
    targets = _flat(
        (_complex(np.asarray(points, np.float64).reshape(-1, IBUG68.size, 2)) - middle[:, None]) / turn[:, None]
    )
    ridge = KernelRidge(kernel="rbf", gamma=GAMMA, alpha=ALPHA).fit(examples, targets - targets.mean(0))
    learnt = (reference, mean, deviation, pca.components_.T, examples, ridge.dual_coef_, targets.mean(0))
    return Habit(**{f.name: np.asarray(value, np.float32) for f, value in zip(fields(Habit), learnt, strict=True)})


def _complex(points: Floats) -> NDArray[np.complexfloating]:
    return np.asarray(points[..., 0] + 1j * points[..., 1])


def _flat(frame: NDArray[np.complexfloating]) -> Floats:
    """Points (N, K) as features (N, 2K)."""
    return np.concatenate([frame.real, frame.imag], 1)


def _normalised(meshes: Floats, reference: Floats) -> tuple[NDArray[np.complexfloating], Any, Any]:
    """Meshes (N, 478, 2) in the frame of `reference` (478, 2), with the turn and the middle (N,) that lead back.

    Least squares over rotation, scale and shift (Umeyama, PAMI 1991, without reflection)."""
    seen, ours = _complex(meshes), _complex(reference)
    middle = seen.mean(1)
    turn = ((seen - middle[:, None]) * ours.conj()).sum(1) / (abs(ours) ** 2).sum()
    return (seen - middle[:, None]) / turn[:, None], turn, middle


def _mean_mesh(meshes: Floats) -> Floats:
    """The mean shape (478, 2), around its middle, of size 1 (generalised Procrustes analysis)."""
    reference = np.asarray(meshes[0] - meshes[0].mean(0))
    for _ in range(5):
        reference = reference / np.sqrt((reference**2).sum(1).mean())
        frame = _normalised(meshes, reference)[0].mean(0)
        reference = np.stack([frame.real, frame.imag], 1)
        reference = reference - reference.mean(0)
    return reference


def write_habit(habit: Habit, path: Path) -> None:
    """Writes `habit` to `path`, an .npz.

    Raises:
        InputError: it cannot be written.
    """
    content = io.BytesIO()
    np.savez(content, **{f.name: getattr(habit, f.name) for f in fields(habit)})
    write_whole({path: content.getvalue()})


def read_habit(path: Path) -> Habit:
    """What `write_habit` wrote; holds numbers alone, no pickle.

    Raises:
        InputError: it is missing, damaged or something else.
    """
    expected = "the habit.npz that fkp-edge label left in about/"
    content = read_bounded(path, MAX_BYTES, expected)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
                raise InputError(f"{path} unpacks to over {MAX_BYTES} bytes; expected {expected}")
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            found = {f.name: arrays[f.name] for f in fields(Habit)}
    except (OSError, ValueError, KeyError, zipfile.BadZipFile, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} cannot be read ({error}); expected {expected}") from error
    count, parts = len(found["examples"]), found["basis"].shape[-1]
    both, labelled = 2 * MESH_POINTS, 2 * IBUG68.size
    shapes: list[tuple[int, ...]] = [(MESH_POINTS, 2), (both,), (both,), (both, parts), (count, parts)]
    shapes += [(count, labelled), (labelled,)]
    for (name, array), shape in zip(found.items(), shapes, strict=True):
        if array.shape != shape or array.dtype != np.float32 or not np.isfinite(array).all() or count > MAX_EXAMPLES:
            raise InputError(f"{path} has {name} of {array.dtype} {array.shape}; expected float32 {shape}, all finite")
    return Habit(**found)
