"""Runs in an emulated userland: a search, then the engine over given frames with each network. Points go to a file, and
marks to stderr: two around the search, then one after each frame.

Usage: python follow.py FRAMES.npy POINTS.npz MODEL [MODEL ...]     (MODEL as `--model` takes a shipped one)
"""

from __future__ import annotations

import os
import sys

import cv2
import numpy as np

from fkp_edge.core.observation import Frame
from fkp_edge.device.detection.haar import HaarDetector
from fkp_edge.device.detection.search import InlineSearch
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model


def follow(name: str, detector: HaarDetector, frames: np.ndarray) -> np.ndarray:
    """The points in each frame; NaN in one where no face was seen."""
    engine = Engine(open_model(shipped_model(name)), InlineSearch(detector.detect))
    found = []
    for index, grey in enumerate(frames):
        observation = engine.process(Frame(grey, index * 33_333_333, index))
        os.getppid()
        found.append(observation.faces[0].points if observation.faces else None)
    seen = next(points for points in found if points is not None)
    return np.stack([np.full_like(seen, np.nan) if points is None else points for points in found])


def main(frames: np.ndarray, out: str, names: list[str]) -> None:
    """One process for all networks: starting Python costs as much as following the frames."""
    cv2.setNumThreads(1)
    detector = HaarDetector()
    os.getppid()
    detector.detect(frames[0])
    os.getppid()
    np.savez(out, **{name: follow(name, detector, frames) for name in names})


if __name__ == "__main__":
    main(np.load(sys.argv[1]), sys.argv[2], sys.argv[3:])
