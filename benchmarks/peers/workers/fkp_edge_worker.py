"""fkp-edge, or the tutorials' pipeline: OpenCV's Haar on every frame and a network.

Usage: python fkp_edge_worker.py CORE engine|haar MODEL
"""

from __future__ import annotations

import sys
from typing import Any

import worker

worker.pin(int(sys.argv[1]))

import ai_edge_litert  # noqa: E402 - pinned first
import cv2  # noqa: E402
import numpy as np  # noqa: E402

from fkp_edge.core.geometry import crop_from_box, extract  # noqa: E402
from fkp_edge.core.observation import Frame, State  # noqa: E402
from fkp_edge.device.detection.haar import HaarDetector, HaarSettings  # noqa: E402
from fkp_edge.device.detection.search import InlineSearch  # noqa: E402
from fkp_edge.device.image_detector import ImageDetector  # noqa: E402
from fkp_edge.device.tracking.engine import Engine  # noqa: E402
from fkp_edge.model.interpreter import open_model  # noqa: E402
from fkp_edge.model.shipped import shipped_model  # noqa: E402

TUTORIAL = HaarSettings(scale_factor=1.25, min_neighbors=6, min_size=24, longest_side=4096)
"""detectMultiScale(grey, 1.25, 6) on the whole frame as it is."""
KIND = sys.argv[2]
MODEL = open_model(shipped_model(sys.argv[3]), threads=1)

cv2.setNumThreads(1)


def in_box(picture: worker.Picture, box: worker.Box) -> worker.Face:
    """One look of the network at `box`."""
    crop = crop_from_box(box)
    return worker.Face(crop.to_frame(MODEL.predict(extract(picture, crop))[0]), box)


def begin(job: dict[str, Any]) -> worker.Looker:
    """The engine for videos, `predict`'s finder for photographs, one look where boxes are given."""
    if "boxes" in job:
        return worker.Looker(lambda picture, box, _: [in_box(picture, box)] if box else [], lambda faces, _: faces)
    if KIND == "haar":
        detect = HaarDetector(TUTORIAL).detect
        return worker.Looker(
            lambda picture, *_: [in_box(picture, box) for box in detect(picture)], lambda faces, _: faces
        )
    if job["video"]:
        engine = Engine(MODEL, InlineSearch(HaarDetector().detect))
        return worker.Looker(
            lambda picture, _, index: engine.process(Frame(picture, index * job["frame_ns"], index)),
            lambda seen, _: [worker.Face(f.points, f.box) for f in seen.faces if seen.state is State.TRACKING],
        )
    finder = ImageDetector(MODEL)
    return worker.Looker(
        lambda picture, *_: finder.find(picture), lambda faces, _: [worker.Face(f.points, f.box) for f in faces]
    )


VERSIONS = {"model_sha256": MODEL.file.sha256, "opencv": cv2.__version__, "numpy": np.__version__}
worker.serve(begin, VERSIONS | {"ai_edge_litert": ai_edge_litert.__version__})
