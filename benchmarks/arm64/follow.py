"""Runs in an emulated userland: the engine over given frames. Its points go to a file, and a mark a step to stderr.

Usage: python follow.py FRAMES.npy OUT.npy
"""

from __future__ import annotations

import os
import sys

import cv2
import numpy as np

from fkp_edge.device.engine import Engine
from fkp_edge.device.haar import HaarDetector
from fkp_edge.device.search import InlineSearch
from fkp_edge.interpreter import open_model
from fkp_edge.models import shipped_model
from fkp_edge.observation import Frame

cv2.setNumThreads(1)
frames = np.load(sys.argv[1])
detector = HaarDetector()
engine = Engine(open_model(shipped_model()), InlineSearch(detector.detect))
points = []
os.getppid()
detector.detect(frames[0])
os.getppid()
for index, grey in enumerate(frames):
    observation = engine.process(Frame(grey, index * 33_333_333, index))
    os.getppid()
    points.append(observation.faces[0].points if observation.faces else np.full((15, 2), np.nan, np.float32))
np.save(sys.argv[2], np.stack(points))
