"""Pictures that a network labels: it must be sure, and agree with itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from fkp_edge.data import FaceSet
from fkp_edge.errors import InputError
from fkp_edge.geometry import box_around
from fkp_edge.interpreter import KeypointModel, open_model
from fkp_edge.keypoints import FKP15, IBUG68
from fkp_edge.metrics import face_nme
from fkp_edge.models import shipped_model
from fkp_edge.train.pseudo_labels import label_pictures

DESCRIBED = {"schema": "fkp15", "mean_shape": FKP15.mean_shape.tolist()}


class Shipped:
    """The shipped network in the place of a tf-keras one."""

    def __init__(self, score: float | None = None) -> None:
        self._model: KeypointModel = open_model(shipped_model())
        self._score = score

    def predict(self, pixels: np.ndarray, **_: Any) -> dict[str, np.ndarray]:
        out = [self._model.predict(crop[..., 0].astype(np.uint8)) for crop in pixels]
        offsets = np.stack([(units - FKP15.mean_shape).ravel() for units, _ in out])
        scores = np.array([[score if self._score is None else self._score] for _, score in out])
        return {"keypoints": offsets, "score": scores}


@pytest.fixture
def folder(tmp_path: Path, faces: FaceSet) -> Path:
    """The portrait, and a wall."""
    (tmp_path / "pictures").mkdir()
    cv2.imwrite(str(tmp_path / "pictures/face.png"), faces.images[0])
    cv2.imwrite(str(tmp_path / "pictures/wall.png"), np.full((200, 200), 90, np.uint8))
    return tmp_path / "pictures"


def test_a_face_gets_its_points_and_a_wall_none(folder: Path, faces: FaceSet, tmp_path: Path) -> None:
    box = box_around(faces.crop(0))
    found = label_pictures(folder, (Shipped(), DESCRIBED), FKP15, lambda _: [box], tmp_path / "labels.json")
    assert found.labels == ("face.png",)
    assert face_nme(found.points, faces.points[:1], FKP15)[0] < 0.08
    again = label_pictures(folder, (Shipped(0.0), DESCRIBED), FKP15, lambda _: [], tmp_path / "labels.json")
    assert np.array_equal(again.points, found.points)  # remembered


@pytest.mark.parametrize("score", [0.0, 0.8])
def test_faces_that_the_network_is_not_sure_of_are_left_out(folder: Path, tmp_path: Path, score: float) -> None:
    teacher = (Shipped(score), DESCRIBED)
    with pytest.raises(InputError, match="is sure of no face"):
        label_pictures(folder, teacher, FKP15, lambda _: [(20, 20, 90, 90)], tmp_path / "labels.json")


def test_a_teacher_of_fewer_points_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="speaks fkp15; expected ibug68"):
        label_pictures(folder, (Shipped(), DESCRIBED), IBUG68, lambda _: [], tmp_path / "labels.json")
