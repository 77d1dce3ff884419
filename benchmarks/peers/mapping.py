"""From each peer's own points to our 15."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.keypoints import FKP15, Points, from_ibug68

MEDIAPIPE: dict[str, tuple[int, ...]] = {
    # the six points of each lid that lie as iBUG's do, whose mean is what our labels call the centre
    "left_eye_center": (362, 385, 387, 263, 373, 380),
    "right_eye_center": (33, 160, 158, 133, 153, 144),
    "left_eye_inner_corner": (362,),
    "left_eye_outer_corner": (263,),
    "right_eye_inner_corner": (133,),
    "right_eye_outer_corner": (33,),
    # between the brow's two edges, where iBUG's inner ends lie; its outer ends lie on the upper edge
    "left_eyebrow_inner_end": (285, 336),
    "left_eyebrow_outer_end": (300,),
    "right_eyebrow_inner_end": (55, 107),
    "right_eyebrow_outer_end": (70,),
    "nose_tip": (4,),
    "mouth_left_corner": (291,),
    "mouth_right_corner": (61,),
    "mouth_center_top_lip": (0,),
    "mouth_center_bottom_lip": (17,),
}
"""Which of MediaPipe's 468 points each of FKP15 is the mean of; left and right are the subject's.

Where several would do (nose tip 1, 4 or 5, a brow's upper or lower edge, a lip's red or its rim) the one with the least
error on val/lfpw and val/helen."""


def to_fkp15(points: NDArray[np.floating]) -> Points:
    """A peer's `points` (K, 2) as FKP15's (15, 2); the number of points tells whose they are.

    Raises:
        ValueError: nobody reports that many.
    """
    if len(points) == FKP15.size:
        return np.asarray(points, np.float32)
    if len(points) == 68:  # dlib numbers its points as iBUG does
        return from_ibug68(points, FKP15)
    if len(points) == 468:
        return np.stack([points[list(MEDIAPIPE[name])].mean(0) for name in FKP15.names]).astype(np.float32)
    raise ValueError(f"{len(points)} points; expected 15 (ours), 68 (dlib) or 468 (MediaPipe)")
