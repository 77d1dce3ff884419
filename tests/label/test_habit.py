from __future__ import annotations

import math
import zipfile

import numpy as np
import pytest

from fkp_edge.cli.main import main
from fkp_edge.core.geometry import Crop
from fkp_edge.errors import InputError
from fkp_edge.label.habit import MESH_POINTS, Habit, fit_habit, read_habit, write_habit

MOVES = 6
"""Ways in which the drawn faces differ."""


def draw_faces(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Meshes (N, 478, 2) of faces that differ in shape, place, size and roll, and their 68 points (N, 68, 2)."""
    shapes = np.random.default_rng(0)
    mesh, moves = shapes.normal(0, 1, (MESH_POINTS, 2)), shapes.normal(0, 0.05, (MOVES, MESH_POINTS, 2))
    rng = np.random.default_rng(seed)
    meshes, points = [], []
    for _ in range(count):
        face = mesh + np.tensordot(rng.normal(0, 1, MOVES), moves, 1)
        marked = (face[:68] + face[68:136]) / 2 + 0.3 * (mesh[136:204] - mesh[:68])
        crop = Crop(*rng.uniform(50, 400, 2), rng.uniform(50, 200), math.radians(rng.uniform(-40, 40)))
        meshes.append(crop.to_frame(face))
        points.append(crop.to_frame(marked))
    return np.array(meshes), np.array(points)


@pytest.fixture(scope="module")
def habit() -> Habit:
    pytest.importorskip("sklearn", reason="needs fkp-edge[label]")
    meshes, points = draw_faces(240, seed=1)
    return fit_habit(meshes.reshape(120, 2, MESH_POINTS, 2), points.reshape(120, 2, 68, 2))


def error(habit: Habit) -> float:
    """Mean distance of points on faces that were not learnt from, in sizes of the face."""
    meshes, points = draw_faces(20, seed=2)
    off = [np.linalg.norm(habit.points(m) - p, axis=1).mean() / np.std(p) for m, p in zip(meshes, points, strict=True)]
    return float(np.mean(off))


def test_a_habit_sets_the_points_of_other_faces(habit):
    assert error(habit) < 0.01


def test_a_habit_is_the_same_after_the_file(habit, tmp_path):
    write_habit(habit, tmp_path / "habit.npz")
    again = read_habit(tmp_path / "habit.npz")
    assert again.name == habit.name
    assert error(again) == error(habit)


def test_too_few_faces_are_refused():
    with pytest.raises(InputError, match="99 labelled faces are too few to learn from; expected at least 100"):
        fit_habit(np.zeros((99, 2, MESH_POINTS, 2)), np.zeros((99, 2, 68, 2)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"basis": None}, "basis is not a file in the archive"),
        ({"mean": np.zeros(3, np.float32)}, r"has mean of float32 \(3,\); expected float32 \(956,\)"),
        ({"weights": np.full((240, 136), np.nan, np.float32)}, "all finite"),
        ({"target": np.zeros(136, np.float64)}, "has target of float64"),
        ({"target": np.array([{}])}, "allow_pickle=False"),
    ],
)
def test_a_damaged_habit_is_refused(habit, tmp_path, change, said):
    arrays = {name: getattr(habit, name) for name in Habit.__dataclass_fields__} | change
    np.savez(tmp_path / "habit.npz", **{name: array for name, array in arrays.items() if array is not None})
    with pytest.raises(InputError, match=said):
        read_habit(tmp_path / "habit.npz")


def test_a_file_that_is_no_habit_is_refused(tmp_path):
    (tmp_path / "habit.npz").write_text("no zip")
    with pytest.raises(InputError, match=r"habit.npz cannot be read .*; expected the habit.npz that fkp-edge label"):
        read_habit(tmp_path / "habit.npz")


def test_a_habit_that_unpacks_to_much_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "habit.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mean.npy", bytes(80 * 2**20))
    with pytest.raises(InputError, match="unpacks to over 67108864 bytes"):
        read_habit(tmp_path / "habit.npz")


def test_a_habit_without_mediapipe_as_the_teacher_is_refused(capsys, tmp_path):
    assert main(["label", "a.png", "--out", str(tmp_path / "out"), "--habit", "train"]) == 2
    assert "--habit is for --teacher mediapipe; leave it out for keypoints68-int8" in capsys.readouterr().err
