"""What flows from camera to socket: Frame -> Engine -> Observation -> sinks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Box
from fkp_edge.core.keypoints import Points
from fkp_edge.core.measures import Measures
from fkp_edge.core.position import Position

__all__ = ["Face", "Frame", "Observation", "State"]


class State(StrEnum):
    """What the engine is doing."""

    SEARCHING = "searching"
    """No face: Haar looks for one."""
    TRACKING = "tracking"
    """A face was seen in this frame."""
    HELD = "held"
    """The face was not seen in this frame, but a moment ago; its last points are repeated."""
    NO_CAMERA = "no_camera"
    """It failed, or no frame has come for as long as `supervision.stall_s` says."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture from a source. The receiver owns the pixels: no source writes to them again."""

    grey: NDArray[np.uint8]
    """(H, W)."""
    captured_ns: int
    """Monotonic clock of the device when the picture was taken."""
    sequence: int
    """Counts the source's pictures from 0; gaps are pictures that nobody processed."""
    truth: Points | None = None
    """True points (K, 2), where a demonstration or test knows them."""


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in a frame."""

    id: int
    """Stable while the face is tracked; never used again in a run."""
    score: float
    """Probability that the crop held one well-framed face, 0 to 1."""
    box: Box
    """x, y, width, height in frame pixels."""
    points: Points
    """(K, 2), frame pixels, in the order of the model's schema."""
    pose: tuple[float, float, float] | None = None
    """Yaw (positive to the subject's left), pitch (up) and roll (towards the subject's left shoulder) in degrees."""
    held: bool = False
    """Whether it was not seen in this frame but a moment ago; its last points are repeated."""
    measures: Measures | None = None
    """What it does, where that is asked for."""
    position: Position | None = None
    """Where the head is, centimetres; None where it is not asked for, or the face does not tell."""

    def enlarged(self, factor: int) -> Face:
        """This face in a picture whose sides are `factor` times as long."""
        x, y, width, height = self.box
        corner = ((x + 0.5) * factor - 0.5, (y + 0.5) * factor - 0.5)
        points = np.asarray((self.points + 0.5) * factor - 0.5, np.float32)
        return replace(self, box=(*corner, width * factor, height * factor), points=points)


@dataclass(frozen=True, slots=True, eq=False)
class Observation:
    """What was seen in one frame."""

    sequence: int
    """Of the frame."""
    captured_ns: int
    """Of the frame."""
    state: State
    faces: tuple[Face, ...] = ()
    """Those seen in the frame, then those held."""
    dropped: int = 0
    """Frames skipped since the observation before."""
