"""The public-domain portrait that ships with the package: what the demo plays and golden cases are made of.

Provenance and licence stand beside it, in eileen_collins.json.
"""

from __future__ import annotations

import json
from importlib import resources

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.keypoints import FKP15, Points

__all__ = ["portrait", "portrait_points"]

_FOLDER = resources.files("fkp_edge.data")


def portrait() -> NDArray[np.uint8]:
    """The portrait, (512, 512, 3) BGR."""
    coded = np.frombuffer((_FOLDER / "eileen_collins.jpg").read_bytes(), np.uint8)
    return cv2.imdecode(coded, cv2.IMREAD_COLOR)  # type: ignore[return-value]


def portrait_points() -> Points:
    """Its 15 points (FKP15) as a person marked them: (15, 2) pixels."""
    marked = json.loads((_FOLDER / "eileen_collins.json").read_text())["points"]
    return np.array([marked[name] for name in FKP15.names], np.float32)
