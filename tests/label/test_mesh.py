from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.core.keypoints import FKP15, IBUG68, from_ibug68
from fkp_edge.data import FaceSet
from fkp_edge.data.readers import format_pts
from fkp_edge.errors import InputError
from fkp_edge.evaluation.metrics import face_nme

pytest.importorskip("mediapipe", reason="needs fkp-edge[label]")

from fkp_edge.label.habit import MIN_FACES
from fkp_edge.label.mesh import MeshTeacher, learn_habit
from fkp_edge.label.teachers import NetworkTeacher
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model

pytestmark = pytest.mark.filterwarnings("ignore")
"""MediaPipe's protobuf has its own."""


@pytest.fixture(scope="module")
def labelled(portrait_faces: FaceSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The portrait a hundred times, at other sizes and contrasts, with the points that the shipped network gives."""
    folder = tmp_path_factory.mktemp("labelled")
    (marked,) = NetworkTeacher(open_model(shipped_model("keypoints68-int8"))).mark(portrait_faces.images[0])
    for number in range(MIN_FACES):
        scale = 0.4 + 0.002 * number
        picture = cv2.resize(portrait_faces.images[0], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        cv2.imwrite(str(folder / f"{number}.png"), picture)
        (folder / f"{number}.pts").write_text(format_pts((marked.points + 0.5) * scale - 0.5))
    return folder


def test_the_mesh_learns_and_marks_a_face(labelled, portrait_faces):
    teacher = MeshTeacher(learn_habit([labelled]))
    (face,) = teacher.mark(portrait_faces.images[0])
    few = from_ibug68(face.points, FKP15)
    assert face_nme(few[None], portrait_faces.points[:1], FKP15)[0] < 0.08
    assert face.disagreement < 0.05
    assert teacher.schema is IBUG68
    assert teacher.mark(np.zeros((100, 100), np.uint8)) == []


def test_too_few_labelled_faces_are_refused(labelled, tmp_path):
    for path in sorted(labelled.iterdir())[:6]:
        (tmp_path / path.name).write_bytes(path.read_bytes())
    with pytest.raises(InputError, match=r"has 3 labelled faces; expected at least 100, labelled by hand"):
        learn_habit([tmp_path])
