"""One-Euro on arrays."""

from __future__ import annotations

import numpy as np
import pytest

from fkp_edge.core.geometry import crop_from_track
from fkp_edge.core.observation import Frame
from fkp_edge.device.detection.search import FakeSearch
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.device.tracking.smoothing import JUMP, OneEuro, SmoothingSettings
from fkp_edge.model.interpreter import KeypointModel

SIDE = 100.0


def smoothed(path: np.ndarray, *, rate: float = 30.0, side: float = SIDE, **settings: float) -> np.ndarray:
    """`path` (T, 2), a point at `rate` a second, after the filter."""
    smooth = OneEuro(SmoothingSettings(**settings))
    return np.stack([smooth(row[None], round(i / rate * 1e9), side)[0] for i, row in enumerate(path)])


def noise(count: int, sd: float = 1.0) -> np.ndarray:
    return np.random.default_rng(0).normal(0, sd, (count, 2))


def line(count: int, step: float) -> np.ndarray:
    return np.arange(count)[:, None] * np.array([[step, 0.0]])


def test_a_still_point_trembles_less() -> None:
    assert smoothed(noise(300, 0.3))[30:].std() < 0.5 * noise(300, 0.3)[30:].std()


def test_a_moving_point_lags_less_with_more_beta() -> None:
    path = line(60, 10.0)
    lags = [path[-1, 0] - smoothed(path, beta=beta)[-1, 0] for beta in (0, 1, 10)]
    assert lags[0] > 2 * lags[1] > 4 * lags[2] > 0


def test_size_of_the_face_does_not_matter() -> None:
    path = line(40, 3.0) + noise(40)
    assert smoothed(path * 4, side=4 * SIDE) == pytest.approx(4 * smoothed(path))


def test_frame_rate_hardly_matters() -> None:
    slow, fast = smoothed(line(30, 8.0), rate=15), smoothed(line(60, 4.0), rate=30)
    assert slow[-1, 0] - 8 * 29 == pytest.approx(fast[-1, 0] - 4 * 59, rel=0.25)


def test_a_jump_is_taken_as_it_is() -> None:
    path = np.zeros((20, 2))
    path[10:] = 1.5 * JUMP * SIDE
    assert np.array_equal(smoothed(path), path)


@pytest.mark.parametrize("at_ns", [-(10**9), 0, 10**9])
def test_after_a_gap_or_a_clock_that_went_back_it_starts_afresh(at_ns: int) -> None:
    smooth = OneEuro(SmoothingSettings())
    smooth(np.zeros((1, 2)), 0, SIDE)
    assert smooth(np.full((1, 2), 10.0), at_ns, SIDE).tolist() == [[10.0, 10.0]]


def test_the_engine_smooths_what_it_reports_or_not(model: KeypointModel, demo_frames: list[Frame]) -> None:
    crop = crop_from_track(demo_frames[0].truth, model.mean_shape)
    box = (crop.x - crop.side / 2, crop.y - crop.side / 2, crop.side, crop.side)
    trembles = []
    for enabled in (False, True):
        engine = Engine(model, FakeSearch([[box]]), smoothing=SmoothingSettings(enabled=enabled))
        points = [engine.process(frame).faces[0].points for frame in demo_frames[:30]]  # the face stands still
        trembles.append(np.diff(points, axis=0).std())
    assert trembles[1] < 0.6 * trembles[0]
