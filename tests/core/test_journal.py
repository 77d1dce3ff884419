"""What systemd's journal gets of a run."""

from __future__ import annotations

import io
import logging
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fkp_edge.core.observation import Frame, Observation, State
from fkp_edge.core.systemd import CameraLog, is_journal, with_level

FRAME = Frame(np.zeros((48, 64), np.uint8), 0, 0)


@pytest.mark.parametrize(
    ("level", "text"), [(logging.INFO, "<6>x"), (logging.WARNING, "<4>x"), (logging.ERROR, "<3>x")]
)
def test_levels_are_those_of_syslog(level: int, text: str) -> None:
    assert with_level("x", level) == text


def test_the_journal_is_the_stream_that_systemd_names(tmp_path: Path) -> None:
    with (tmp_path / "journal").open("w") as out:
        status = os.fstat(out.fileno())
        assert is_journal(out, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"})
        assert not is_journal(out, {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino + 1}"})
        assert not is_journal(out, {})
    assert not is_journal(io.StringIO(), {"JOURNAL_STREAM": "1:1"})


def test_the_camera_is_told_of_where_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "fkp_edge")
    log = CameraLog()
    for sequence, frame in enumerate([FRAME, FRAME, None, None, FRAME]):
        log(frame, Observation(sequence, 0, State.NO_CAMERA if frame is None else State.SEARCHING))
    assert caplog.messages == ["frames flow: 64x48, from number 0 on", "frames flow: 64x48, from number 4 on"]


def test_a_camera_slower_than_a_frame_a_second_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    log = CameraLog()
    for sequence in range(5):
        for frame in (FRAME, None, None):  # a frame, then its observation again each second
            log(frame, Observation(sequence, 0, State.TRACKING))
    assert caplog.messages == ["frames flow: 64x48, from number 0 on"]


def run(tmp_path: Path, *arguments: str) -> tuple[int, list[str]]:
    """Runs a command whose stderr is the journal: its exit code and the lines."""
    with (tmp_path / "journal").open("w") as journal:
        status = os.fstat(journal.fileno())
        environment = os.environ | {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        command = [sys.executable, "-m", "fkp_edge", *arguments]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, stdout=subprocess.DEVNULL, stderr=journal, timeout=60, check=False
        )
    return done.returncode, (tmp_path / "journal").read_text().splitlines()


def test_a_run_writes_no_line_for_a_frame(tmp_path: Path) -> None:
    code, lines = run(tmp_path, "run", "--source", "demo", "--fast", "--stream", "tcp://127.0.0.1:0")
    assert code == 0
    assert "<6>frames flow: 640x480, from number 0 on" in lines
    assert [line for line in lines if re.search(r"frame +\d|frames/s", line)] == []
    assert len(lines) < 10


def test_an_error_has_the_level_of_one(tmp_path: Path) -> None:
    code, lines = run(tmp_path, "run", "--source", "none.mp4")
    assert code == 2
    assert [line for line in lines if line.startswith("<3>")] == [lines[-1]]
