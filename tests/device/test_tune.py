"""The sweep over known motions, and the command over a recording."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from fkp_edge.app.config import RunConfig
from fkp_edge.cli.main import main
from fkp_edge.core.observation import Face, Observation, State
from fkp_edge.core.settings import parse_settings
from fkp_edge.device.tune import GREEN, ORANGE, RED, Followed, Setting, knee, plot, sweep
from fkp_edge.errors import InputError
from fkp_edge.stream import Hello, encode, from_observation
from fkp_edge.stream.recording.recording import Recording

RATE = 30
RNG = np.random.default_rng(0)


def face(*, noise_px: float = 1.0, moves: bool = True) -> Followed:
    """Still for 3 s, then 3 s to the right and back at 150 px/s."""
    seconds = np.arange(9 * RATE) / RATE
    x = np.interp(seconds, [0, 3, 6, 9], [200, 200, 650, 200]) if moves else np.full(len(seconds), 200.0)
    points = np.stack([x, np.full_like(x, 100)], 1)[:, None] + np.array([[0, 0], [30, 0], [15, 40]])
    points = points + RNG.normal(0, noise_px, points.shape)
    return Followed((seconds * 1e9).astype(np.int64), points, np.full(len(x), 100.0))


@pytest.fixture(scope="module")
def swept() -> tuple[Setting, list[Setting]]:
    return sweep([face()])


def test_without_smoothing_nothing_lags_and_all_trembles(swept) -> None:
    raw, _ = swept
    assert raw.lag_ms == 0
    assert raw.jitter_px == pytest.approx(2**0.5, rel=0.1)  # both coordinates, each 1 px


def test_strong_smoothing_lags_and_weak_one_trembles(swept) -> None:
    found = {(s.min_cutoff_hz, s.beta): s for s in swept[1]}
    strong, weak = found[0.7, 1.0], found[10.0, 80.0]
    assert strong.lag_ms > 20 > weak.lag_ms
    assert strong.jitter_px < 0.6 * weak.jitter_px


def test_the_knee_is_beaten_by_none() -> None:
    settings = [
        Setting(1, b, j, lag) for b, (j, lag) in enumerate([(0.5, 90), (0.6, 25), (0.9, 20), (1.4, 1), (1, 50)])
    ]
    assert knee(settings).beta == 1


@pytest.mark.parametrize(("followed", "what"), [([], "still"), ([face(moves=False)], "moving")])
def test_a_recording_without_both_is_refused(followed: list[Followed], what: str) -> None:
    with pytest.raises(InputError, match=rf"has 0 frames of a {what} face, expected at least 15; record a face that"):
        sweep(followed)


def test_the_plot_shows_all_settings(swept) -> None:
    picture = plot(*swept, knee(swept[1]))
    assert picture.shape == (520, 760, 3)
    for color in (RED, ORANGE, GREEN):  # not smoothed, the default, the chosen one
        assert (picture == color).all(2).sum() > 30


def test_the_plot_says_how_many_settings_lie_outside_it(swept) -> None:
    raw, settings = swept
    inside = plot(raw, settings, knee(settings))
    far = [*settings, Setting(0.1, 0.0, 5 * raw.jitter_px, 10.0)]
    assert (plot(raw, far, knee(settings))[40:60] != inside[40:60]).any()


@pytest.fixture
def recording(tmp_path: Path) -> Callable[[Followed], Path]:
    """Writes a followed face as `run --record` does."""

    def write(followed: Followed) -> Path:
        hello = Hello(
            model="m", model_sha256="0" * 64, points=("a", "b", "c"), source="s", server_ns=0, frame_size=(700, 200)
        )
        lines = [msgspec.json.encode(Recording(started="")) + b"\n", encode(hello)]
        for i, (at_ns, points) in enumerate(zip(followed.at_ns.tolist(), followed.points, strict=True)):
            seen = Face(1, 0.9, (0, 0, 100, 100), points.astype(np.float32))
            lines.append(encode(from_observation(Observation(i, at_ns, State.TRACKING, (seen,)), 0)))
        path = tmp_path / "stream.jsonl"
        path.write_bytes(b"".join(lines))
        return path

    return write


def test_the_command_prints_lines_that_the_configuration_takes(
    recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["tune", str(recording(face())), "--plot", str(tmp_path / "plot.png")]) == 0
    printed = capsys.readouterr().out
    assert parse_settings(tomllib.loads(printed), RunConfig, "tune").smoothing.enabled
    assert "not smoothed: jitter 1.3" in printed
    assert cv2.imread(str(tmp_path / "plot.png")).shape == (520, 760, 3)


def test_the_command_gives_all_settings_as_json(recording, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tune", str(recording(face())), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["chosen"] in found["settings"]


@pytest.mark.parametrize(("option", "code"), [("--smoothing", 2), ("--no-smoothing", 0)])
def test_a_recording_says_whether_its_points_were_smoothed(
    option: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(tmp_path / "run.jsonl")
    run = ["run", "--source", "demo", "--fast", "--stream", f"unix://{tmp_path}/s", "--sheet", f"{tmp_path}/s.png"]
    assert main([*run, "--record", path, option]) == 0
    capsys.readouterr()
    assert main(["tune", path]) == code
    said = capsys.readouterr().err
    assert ("smoothed already; record with fkp-edge run --no-smoothing" in said) == (code == 2)


def test_what_the_command_refuses(recording, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = recording(face(moves=False))
    for argv, message in (
        ([path], "has 0 frames of a moving face"),
        ([path, "--plot", "a.txt"], "--plot a.txt is no FILE.png"),
        ([tmp_path / "none"], "cannot read"),
    ):
        assert main(["tune", *map(str, argv)]) == 2
        assert message in capsys.readouterr().err
