"""What a run leaves: timings, summary, status, sheet; and pictures looked at one by one."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np
import pytest

from fkp_edge.core.geometry import crop_from_track
from fkp_edge.core.keypoints import FKP15
from fkp_edge.core.observation import Face, Frame, Observation, State
from fkp_edge.data.pictures import portrait, portrait_points
from fkp_edge.device.annotation import ContactSheet
from fkp_edge.device.detection.haar import HaarDetector, HaarSettings, find_cascade
from fkp_edge.device.image_detector import ImageDetector, ImageSettings
from fkp_edge.device.summary import StatusLine, Summary
from fkp_edge.device.timing import KEPT, StageTimes
from fkp_edge.errors import InputError, MissingPartError
from fkp_edge.evaluation.metrics import face_nme
from fkp_edge.model.interpreter import KeypointModel


def seen(frame: Frame, offset: float = 0.0, state: State = State.TRACKING, dropped: int = 0) -> Observation:
    points = frame.truth + np.array([offset, 0], np.float32)
    return Observation(frame.sequence, frame.captured_ns, state, (Face(1, 0.9, (0, 0, 1, 1), points),), dropped)


def test_stage_times_keep_percentiles_in_bounded_memory() -> None:
    times = StageTimes()
    for value in range(KEPT + 1000):
        times.add("crop", value * 1_000_000)
    count, p50, p95 = times.percentiles_ms()["crop"]
    assert count == KEPT + 1000
    assert p50 == pytest.approx(1000 + KEPT / 2, abs=1)
    assert p95 == pytest.approx(1000 + 0.95 * KEPT, abs=1)


def test_summary_counts_frames_drops_states_and_faces(demo_frames: list[Frame]) -> None:
    summary = Summary(FKP15.mean_shape, StageTimes())
    summary(demo_frames[0], seen(demo_frames[0]))
    summary(demo_frames[3], seen(demo_frames[3], state=State.HELD, dropped=2))
    summary(None, Observation(3, 0, State.NO_CAMERA))
    figures = summary.figures()
    assert (figures["frames"], figures["dropped"], figures["faces"]) == (2, 2, 1)
    assert figures["states"] == {"tracking": 1, "held": 1}


def test_the_table_tells_of_a_camera_that_had_faults_only(demo_frames: list[Frame]) -> None:
    summary = Summary(FKP15.mean_shape, StageTimes())
    summary(demo_frames[0], seen(demo_frames[0]))
    assert "opened again" not in summary.table()
    summary.reopened, summary.refused = 2, 7
    assert "opened again 2 times; 7 frames were not usable" in summary.table()
    assert (summary.figures()["reopened"], summary.figures()["refused"]) == (2, 7)


def test_a_run_without_a_face_says_how_near_the_best_proposal_was(demo_frames: list[Frame]) -> None:
    summary = Summary(FKP15.mean_shape, StageTimes())
    summary(demo_frames[0], Observation(0, 0, State.SEARCHING))
    assert "no face" not in summary.table()  # nobody said what counts as one
    summary.found_score = 0.9
    assert "none was proposed" in summary.table()
    summary.best_proposal = (0.624, 31.4)
    assert "scored 0.62 at 31 pixels, below found_score = 0.9" in summary.table()
    assert summary.figures()["best_proposal"] == {"score": 0.624, "side_px": 31.4}


def test_jitter_ignores_a_constant_offset(demo_frames: list[Frame]) -> None:
    summary = Summary(FKP15.mean_shape, StageTimes())
    for frame in demo_frames[:20]:  # the face stands still
        summary(frame, seen(frame, offset=5.0))
    assert summary.jitter_px == pytest.approx(0, abs=1e-2)


def test_jitter_is_the_spread_about_the_motion(demo_frames: list[Frame]) -> None:
    summary = Summary(FKP15.mean_shape, StageTimes())
    for index, frame in enumerate(demo_frames[:20]):
        summary(frame, seen(frame, offset=2.0 * (-1) ** index))
    assert summary.jitter_px == pytest.approx(2.0, abs=0.02)


def test_status_writes_plain_lines_where_there_is_no_terminal(demo_frames: list[Frame]) -> None:
    out = io.StringIO()
    status = StatusLine(out)
    for frame in demo_frames[:5]:
        status(frame, seen(frame))
    status(demo_frames[5], Observation(5, 0, State.SEARCHING))
    status.end()
    assert [line.split()[2] for line in out.getvalue().splitlines()] == ["tracking", "searching"]


def test_status_shows_each_face(demo_frames: list[Frame]) -> None:
    out = io.StringIO()
    status = StatusLine(out)
    faces = tuple(Face(number, 0.9, (10 * number, 0, 1, 1), demo_frames[0].truth) for number in (1, 2, 3))
    status(demo_frames[0], Observation(0, 0, State.TRACKING, faces))
    status.end()
    assert [f"face {number} score 0.90 at {10 * number},0" in out.getvalue() for number in (1, 2, 3)] == [True] * 3


def test_contact_sheet_keeps_frames_and_writes_a_picture(tmp_path: Path, demo_frames: list[Frame]) -> None:
    sheet = ContactSheet(FKP15, every=10)
    for frame in demo_frames[:45]:
        sheet(frame, seen(frame))
    sheet.save(tmp_path / "sheet.png")
    assert cv2.imread(str(tmp_path / "sheet.png")).shape == (2 * 240, 4 * 320, 3)  # 5 tiles, 4 a row


@pytest.mark.parametrize(("frames", "tiles"), [(5, 5), (16, 16), (17, 9), (100, 13)])
def test_contact_sheet_covers_short_and_long_runs(
    tmp_path: Path, demo_frames: list[Frame], frames: int, tiles: int
) -> None:
    sheet = ContactSheet(FKP15)
    for frame in demo_frames[:frames]:
        sheet(frame, seen(frame))
    assert len(sheet._tiles) == tiles


def test_an_empty_contact_sheet_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no frame to draw"):
        ContactSheet(FKP15, every=10).save(tmp_path / "sheet.png")
    assert list(tmp_path.iterdir()) == []


def test_haar_finds_the_portrait_at_its_place_in_the_full_picture() -> None:
    grey = cv2.resize(cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY), None, fx=2, fy=2)
    x, y, w, h = HaarDetector(HaarSettings(longest_side=480)).detect(grey)[0]
    eyes = 2 * portrait_points()[:2].mean(0)
    assert np.allclose((eyes - [x, y]) / [w, h], [0.50, 0.39], atol=0.06)  # where Haar's boxes have the eyes


def test_a_missing_cascade_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(MissingPartError, match=r"haarcascade_frontalface_default.xml is in none of .*apt install"):
        find_cascade((tmp_path,))


def test_a_damaged_cascade_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.xml").write_text("<opencv_storage></opencv_storage>")
    with pytest.raises(MissingPartError, match=r"bad.xml is not a cascade"):
        HaarDetector(cascade=tmp_path / "bad.xml")


def test_stills_find_two_portraits_side_by_side(model: KeypointModel) -> None:
    grey = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)
    faces = ImageDetector(model).find(np.hstack([grey, grey]))
    truth = [portrait_points(), portrait_points() + np.array([512, 0], np.float32)]
    errors = [[float(face_nme(f.points[None], t[None], FKP15)[0]) for f in faces] for t in truth]
    assert len(faces) == 2
    assert all(min(row) < 0.1 for row in errors)


@pytest.mark.parametrize(("right", "down"), [(0.2, 0.0), (0.0, 0.2), (-0.2, 0.0), (0.0, -0.2)])
def test_stills_find_a_face_that_fills_the_picture_and_say_where_in_it(
    model: KeypointModel, right: float, down: float
) -> None:
    grey = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)
    home = crop_from_track(portrait_points(), FKP15.mean_shape)
    half = round(0.4 * home.side)
    x, y = round(home.x + right * home.side) - half, round(home.y + down * home.side) - half
    chip = np.ascontiguousarray(grey[y : y + 2 * half, x : x + 2 * half])
    assert ImageDetector(model, ImageSettings(method="haar", border=0)).find(chip) == []
    (face,) = ImageDetector(model, ImageSettings(method="haar")).find(chip)
    assert float(face_nme(face.points[None], (portrait_points() - [x, y])[None], FKP15)[0]) < 0.2


def test_stills_find_nothing_in_noise(model: KeypointModel) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (240, 320), np.uint8)
    assert ImageDetector(model).find(noise) == []


@pytest.mark.parametrize("shape", [(1, 5000), (4000, 1), (1, 1), (24, 3000), (2000, 30)])
def test_haar_takes_pictures_of_any_shape(detector: HaarDetector, shape: tuple[int, int]) -> None:
    assert detector.detect(np.zeros(shape, np.uint8)) == []


@pytest.fixture
def terminal() -> Iterator[tuple[TextIO, int]]:
    """What a program writes to a terminal of 30 columns, and the descriptor that shows it."""
    shown, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 30, 0, 0))
    with open(inside, "w") as out:  # noqa: PTH123 - a descriptor
        yield out, shown
    os.close(shown)


def test_status_on_a_terminal_rewrites_one_line_that_never_wraps(demo_frames: list[Frame], terminal) -> None:
    out, shown = terminal
    status = StatusLine(out)
    status(demo_frames[0], seen(demo_frames[0]))
    status.end()
    text = ""
    while not text.endswith("\n"):  # a terminal may hand over what was written in pieces
        text += os.read(shown, 4096).decode()
    assert text.startswith("\rframe      0  tracking")
    assert text.endswith("\r\n")
    assert len(text.strip()) == 29


def test_a_model_of_other_points_has_no_jitter(demo_frames: list[Frame]) -> None:
    summary = Summary(FKP15.mean_shape, StageTimes())
    face = Face(1, 0.9, (0, 0, 9, 9), np.zeros((68, 2), np.float32))
    summary(demo_frames[0], Observation(0, 0, State.TRACKING, faces=(face,)))
    assert summary.jitter_px is None
