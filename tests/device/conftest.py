"""What the device's tests share: the shipped model, the demo's frames."""

from __future__ import annotations

import pytest

from fkp_edge.core.observation import Frame
from fkp_edge.device.detection.haar import HaarDetector
from fkp_edge.device.sources import DemoSource
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model

FRAME_NS = 33_333_333


@pytest.fixture(scope="session")
def model() -> KeypointModel:
    return open_model(shipped_model())


@pytest.fixture(scope="session")
def detector() -> HaarDetector:
    return HaarDetector()


@pytest.fixture(scope="session")
def demo_frames() -> list[Frame]:
    """The whole demo, 30 frames/s, with times from 0."""
    demo = DemoSource(pace=False)
    frames = []
    while (frame := demo.read()) is not None:
        frames.append(Frame(frame.grey, frame.sequence * FRAME_NS, frame.sequence, frame.truth))
    return frames
