"""MediaPipe Face Mesh, 468 points. Usage: python mediapipe_worker.py CORE"""

from __future__ import annotations

import sys
from typing import Any

import worker

worker.pin(int(sys.argv[1]))

import mediapipe as mp  # noqa: E402 - it starts threads, which are to stay on the core
import numpy as np  # noqa: E402


class Opened:
    """The graph of the job at hand; the one before is closed, so that its threads do not stay."""

    mesh: Any = None

    def begin(self, job: dict[str, Any]) -> worker.Looker:
        """Tracking for a video; its own detector on every picture for photographs."""
        if self.mesh is not None:
            self.mesh.close()
        self.mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=not job["video"], max_num_faces=job["most"])
        return worker.Looker(lambda picture, *_: self.mesh.process(picture), read, "rgb")


def read(result: Any, picture: worker.Picture) -> list[worker.Face]:
    """Its landmarks are shares of the picture's sides. Share times side is a pixel whose centre has a whole number:

    with the half pixel less that borders would ask for, its NME on val is 0.4 points higher.
    """
    height, width = picture.shape[:2]
    faces = result.multi_face_landmarks or []
    shares = [np.array([(mark.x, mark.y) for mark in face.landmark]) for face in faces]
    return [worker.Face(share * (width, height)) for share in shares]


worker.serve(Opened().begin, {"mediapipe": mp.__version__, "numpy": np.__version__})
