"""What the pages and the examples show runs as it stands."""

from __future__ import annotations

import csv
import re
import runpy
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import fkp_edge as fkp
from fkp_edge.device.sources import DemoSource

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLES = sorted((REPOSITORY / "examples").glob("*.*"))
ELSEWHERE = ("raspberrypi", "train(")
"""What needs another machine, or hours."""


def run(name: str, *args: str, cwd: Path) -> str:
    command = [sys.executable, str(REPOSITORY / "examples" / name), *args]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Half a second of the demo, as a video, beside the portrait as group.jpg."""
    demo = DemoSource(pace=False)
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (640, 480))
    for number in range(15):
        writer.write(cv2.cvtColor(demo.frame(number, 0).grey, cv2.COLOR_GRAY2BGR))
    writer.release()
    cv2.imwrite(str(tmp_path / "group.jpg"), fkp.demo_picture())
    return path


def test_the_page_about_python_runs(clip: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    monkeypatch.chdir(clip.parent)
    page = (REPOSITORY / "docs/python.md").read_text()
    names: dict[str, object] = {}
    for block in re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE):
        if not any(word in block for word in ELSEWHERE):
            exec(compile(block, "docs/python.md", "exec"), names)
    printed = capsys.readouterr().out
    assert "1 faces\n" in printed
    assert names["summary"]["frames"] == 376
    assert (clip.parent / "drawn.png").exists()


def test_an_example_is_short_and_says_how_to_run_it() -> None:
    for path in EXAMPLES:
        text = path.read_text()
        assert len(text.splitlines()) <= 60, path.name
        assert path.suffix != ".py" or f"python examples/{path.name}" in text


def test_faces_are_counted(clip: Path) -> None:
    assert run("count_faces.py", str(clip), cwd=clip.parent).splitlines() == [
        "frame 0: 1 faces",
        "1 faces in 15 frames, at most 1 at a time",
    ]


def test_points_are_drawn(clip: Path) -> None:
    assert run("draw_points.py", str(clip), "out.png", cwd=clip.parent) == "drawn: out.png\n"
    assert cv2.imread(str(clip.parent / "out.png")).shape == (480, 640, 3)


def test_points_are_logged(clip: Path) -> None:
    assert run("log_csv.py", "faces.csv", str(clip), cwd=clip.parent) == "15 rows: faces.csv\n"
    rows = list(csv.DictReader((clip.parent / "faces.csv").read_text().splitlines()))
    assert len(rows) == 15
    assert np.hypot(float(rows[0]["nose_tip_x"]) - 320, float(rows[0]["nose_tip_y"]) - 240) < 100


@pytest.mark.parametrize("name", ["count_faces", "draw_points", "log_csv"])
def test_an_example_says_in_one_line_what_it_cannot_use(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["nonsense"] if name != "log_csv" else ["/nonexistent/a.csv"]
    monkeypatch.setattr(sys, "argv", [name, *given])
    with pytest.raises(SystemExit, match=r"^error: .*(nonsense|/nonexistent/a\.csv)"):
        runpy.run_path(str(REPOSITORY / f"examples/{name}.py"), run_name="__main__")
