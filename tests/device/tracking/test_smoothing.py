"""One-Euro on arrays."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from fkp_edge.core.geometry import crop_from_track
from fkp_edge.core.observation import Frame
from fkp_edge.core.settings import parse_settings
from fkp_edge.device.detection.search import FakeSearch
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.device.tracking.smoothing import JUMP, SPEED_CUTOFF_HZ, OneEuro, SmoothingSettings
from fkp_edge.errors import InputError
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


def as_published(path: np.ndarray, seconds: np.ndarray, settings: SmoothingSettings) -> np.ndarray:
    """`path` (T, 2) after the filter of Casiez, Roussel and Vogel: algorithms 1 and 2, speeds in sides a second."""

    def alpha(dt: float, cutoff: float) -> float:
        return 1 / (1 + 1 / (2 * math.pi * cutoff) / dt)

    value, speed, out = path[0], np.zeros(2), [path[0]]
    for (before, at), new in zip(itertools.pairwise(seconds), path[1:], strict=True):
        dt = at - before
        share = alpha(dt, SPEED_CUTOFF_HZ)
        speed = share * (new - value) / dt / SIDE + (1 - share) * speed
        share = alpha(dt, settings.min_cutoff_hz + settings.beta * math.hypot(*speed))
        value = share * new + (1 - share) * value
        out.append(value)
    return np.array(out)


def test_it_is_the_published_filter() -> None:
    rng, settings = np.random.default_rng(3), SmoothingSettings(min_cutoff_hz=0.7, beta=3.0)
    seconds = np.cumsum(rng.uniform(0.02, 0.1, 50))
    paths = np.cumsum(rng.normal(0, 3, (50, 4, 2)), 0)
    smooth = OneEuro(settings)
    given = np.stack([smooth(rows, round(at * 1e9), SIDE) for rows, at in zip(paths, seconds, strict=True)])
    for i in range(4):
        assert given[:, i] == pytest.approx(as_published(paths[:, i], seconds, settings), abs=1e-3)


@pytest.mark.parametrize(("share", "taken_as_is"), [(0.8, False), (1.2, True)])
def test_a_jump_of_the_whole_face_is_taken_as_it_is(share: float, taken_as_is: bool) -> None:
    path = np.zeros((20, 15, 2))
    path[10:, :, 1] = share * JUMP * SIDE
    smooth = OneEuro(SmoothingSettings(beta=0))
    given = np.stack([smooth(rows, round(i / 30 * 1e9), SIDE) for i, rows in enumerate(path)])
    assert np.array_equal(given, path) is taken_as_is


@pytest.mark.parametrize("key", ["beta", "min_cutoff_hz"])
@pytest.mark.parametrize(("value", "is_taken"), [(-1.0, False), (0.5, True), (900, True), (1200, False), (1e9, False)])
def test_settings_that_cannot_be_are_refused(key: str, value: float, is_taken: bool) -> None:
    if is_taken:
        assert getattr(parse_settings({key: value}, SmoothingSettings, "here"), key) == value
    else:
        with pytest.raises(InputError, match=key):
            parse_settings({key: value}, SmoothingSettings, "here")


@pytest.mark.parametrize("at_ns", [-(10**9), 0, 10**9])
def test_after_a_gap_or_a_clock_that_went_back_it_starts_afresh(at_ns: int) -> None:
    smooth = OneEuro(SmoothingSettings())
    smooth(np.zeros((1, 2)), 0, SIDE)
    assert smooth(np.full((1, 2), 10.0), at_ns, SIDE).tolist() == [[10.0, 10.0]]


def test_settings_are_named_and_stay_as_they_are() -> None:
    with pytest.raises(TypeError):
        SmoothingSettings(False)
    with pytest.raises(AttributeError):
        SmoothingSettings().beta = 1.0


def test_the_engine_smooths_what_it_reports_or_not(model: KeypointModel, demo_frames: list[Frame]) -> None:
    crop = crop_from_track(demo_frames[0].truth, model.mean_shape)
    box = (crop.x - crop.side / 2, crop.y - crop.side / 2, crop.side, crop.side)
    trembles = []
    for smoothing in (SmoothingSettings(enabled=False), SmoothingSettings()):
        engine = Engine(model, FakeSearch([[box]]), smoothing=smoothing)
        points = [engine.process(frame).faces[0].points for frame in demo_frames[:30]]  # the face stands still
        trembles.append(np.diff(points, axis=0).std())
    assert trembles[1] < 0.6 * trembles[0]
