"""The live pipe on a board that is too slow for it: `make test-slow`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from fkp_edge.core.geometry import box_around, crop_from_track
from fkp_edge.core.observation import Frame, Observation, State
from fkp_edge.device.detection.search import Proposal, ThreadedSearch
from fkp_edge.device.runtime import Runtime
from fkp_edge.device.sources import FakeCamera
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.model.interpreter import KeypointModel

pytestmark = pytest.mark.skipif(
    not os.environ.get("FKP_EDGE_SLOW"), reason="half a minute under quotas: make test-slow"
)

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SEARCH_S, INFERENCE_S = 1.5, 0.05
FRAMES, FRAME_S = 90, 0.05


@pytest.fixture(scope="module")
def slow_boards() -> Iterator[ModuleType]:
    """The benchmark, which holds the run to a share of a core."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        import slow_boards

        yield slow_boards
        sys.modules.pop("slow_boards")


@pytest.mark.parametrize("share", [0.3, 0.12, 0.06, 0.03])
def test_the_face_of_the_demo_is_found_under_a_quota(slow_boards: ModuleType, share: float) -> None:
    try:
        figures = slow_boards.play(share, "haar")
    except slow_boards.NoQuotaError as error:
        pytest.skip(str(error))
    assert figures["tracked"] > 0


class SlowModel:
    """The shipped network with a sleep before each inference."""

    def __init__(self, model: KeypointModel) -> None:
        self.schema, self.has_score, self.decode = model.schema, model.has_score, model.decode
        self._invoke = model.invoke

    def invoke(self, pixels: np.ndarray) -> object:
        time.sleep(INFERENCE_S)
        return self._invoke(pixels)


def test_a_face_is_found_where_search_and_network_sleep(model: KeypointModel, demo_frames: list[Frame]) -> None:
    frame = demo_frames[0]

    def detect(grey: np.ndarray) -> Sequence[Proposal]:
        time.sleep(SEARCH_S)
        return [box_around(crop_from_track(frame.truth, model.mean_shape))]

    def paced() -> Iterator[Frame]:
        for i in range(FRAMES):
            time.sleep(FRAME_S)
            yield replace(frame, captured_ns=time.monotonic_ns(), sequence=i)

    seen: list[Observation] = []
    search = ThreadedSearch(detect)
    engine = Engine(SlowModel(model), search)
    Runtime(FakeCamera(paced(), live=True), engine, [lambda _, observation: seen.append(observation)]).run()
    search.close()
    assert seen[-1].state is State.TRACKING
