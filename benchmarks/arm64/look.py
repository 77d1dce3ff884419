"""Runs in an emulated userland: the finder's looks at a frame, marks to stderr around each but the first.

Usage: python look.py FRAMES.npy
"""

from __future__ import annotations

import os
import sys

import cv2
import numpy as np

from fkp_edge.device.detection.finder import Finder


def main(frames: np.ndarray) -> None:
    """The first look of a process pays for what is loaded late."""
    cv2.setNumThreads(1)
    finder = Finder()
    finder.propose(frames[0])
    for frame in frames:
        os.getppid()
        finder.propose(frame)
        os.getppid()


if __name__ == "__main__":
    main(np.load(sys.argv[1]))
