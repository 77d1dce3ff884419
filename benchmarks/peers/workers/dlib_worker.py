"""dlib's HOG detector and 68-point predictor, or the predictor alone in given boxes.

Usage: python dlib_worker.py CORE
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import worker

worker.pin(int(sys.argv[1]))

import dlib  # noqa: E402 - pinned first
import numpy as np  # noqa: E402


def find_predictor() -> Path:
    """The predictor's file; its package is not imported, since it wants pkg_resources, which setuptools dropped."""
    spec = importlib.util.find_spec("face_recognition_models")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "models/shape_predictor_68_face_landmarks.dat"


DETECT = dlib.get_frontal_face_detector()
PREDICT = dlib.shape_predictor(str(find_predictor()))


def begin(job: dict[str, Any]) -> worker.Looker:
    """Videos are searched grey and as they are, which is fastest; photographs as it finds most.

    That is in colour, and doubled as face_recognition does it: the detector knows no face below 80 pixels.
    """
    doubled = 0 if job["video"] else 1

    def look(picture: worker.Picture, box: worker.Box | None, _: int) -> list[tuple[Any, Any]]:
        boxes = DETECT(picture, doubled) if box is None else as_rectangles(box)
        return [(place, PREDICT(picture, place)) for place in boxes]

    return worker.Looker(look, read, "grey" if job["video"] else "rgb")


def as_rectangles(box: worker.Box) -> list[Any]:
    """`box` as dlib takes it; none where it is NaN."""
    if np.isnan(box[0]):
        return []
    x, y, width, height = (round(value) for value in box)
    return [dlib.rectangle(x, y, x + width - 1, y + height - 1)]


def read(result: list[tuple[Any, Any]], _: worker.Picture) -> list[worker.Face]:
    """dlib reports whole pixels."""
    return [
        worker.Face(
            np.array([(part.x, part.y) for part in shape.parts()]),
            (place.left(), place.top(), place.width(), place.height()),
        )
        for place, shape in result
    ]


worker.serve(begin, {"dlib": dlib.__version__, "numpy": np.__version__})
