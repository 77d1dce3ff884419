"""MediaPipe Face Mesh, 468 points. Usage: python mediapipe_worker.py CORE"""

from __future__ import annotations

import functools
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
        """Tracking for a video; for photographs one look after its detector, or several as if it tracked."""
        if self.mesh is not None:
            self.mesh.close()
        looks = job.get("looks", 1)
        still = not job["video"] and looks == 1
        self.mesh = mp.solutions.face_mesh.FaceMesh(static_image_mode=still, max_num_faces=job["most"])
        look = self.mesh.process if looks == 1 else functools.partial(self.refine_crop, looks)
        return worker.Looker(lambda picture, *_: look(picture), read, "rgb")

    def refine_crop(self, looks: int, picture: worker.Picture) -> Any:
        """What it sees when it has tracked for some frames that do not move."""
        self.mesh.reset()
        for _ in range(looks - 1):
            self.mesh.process(picture)
        return self.mesh.process(picture)


def read(result: Any, picture: worker.Picture) -> list[worker.Face]:
    """Its landmarks are shares of the picture's sides. Share times side is a pixel whose centre has a whole number:

    with the half pixel less that borders would ask for, its NME on val is 0.4 points higher.
    """
    height, width = picture.shape[:2]
    faces = result.multi_face_landmarks or []
    shares = [np.array([(mark.x, mark.y) for mark in face.landmark]) for face in faces]
    return [worker.Face(share * (width, height)) for share in shares]


worker.serve(Opened().begin, {"mediapipe": mp.__version__, "numpy": np.__version__})
