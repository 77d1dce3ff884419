"""What the pages and the examples show runs as it stands."""

from __future__ import annotations

import contextlib
import csv
import importlib.util
import json
import os
import re
import runpy
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

import fkp_edge as fkp
from fkp_edge.core.keypoints import FKP15
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


@pytest.fixture(scope="module")
def sleepy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The portrait for two seconds, with its eyes shut for one and a half, then open again; as a video."""
    spec = importlib.util.spec_from_file_location("blinks", REPOSITORY / "benchmarks/blinks.py")
    blinks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(blinks)
    grey = DemoSource(pace=False).frame(0, 0).grey
    points = fkp.find(grey, model="keypoints68-int8")[0].points
    pictures = [cv2.cvtColor(blinks.shut(grey, points, share), cv2.COLOR_GRAY2BGR) for share in (0.0, 1.0)]
    path = tmp_path_factory.mktemp("sleepy") / "sleepy.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (640, 480))
    for number in range(120):
        writer.write(pictures[60 <= number < 105])
    writer.release()
    return path


def test_the_alarm_sounds_while_the_eyes_are_shut(sleepy: Path, tmp_path: Path) -> None:
    pytest.importorskip("gpiozero", reason="needs gpiozero")
    lines = [line for line in run("drowsiness_alarm.py", str(sleepy), cwd=tmp_path).splitlines() if " s: " in line]
    assert [line.partition(": ")[2] for line in lines] == ["wake up!", "good morning"]
    woken, rested = (float(line.partition(" s")[0]) for line in lines)
    assert 0.3 < rested - woken < 0.8


def test_blinks_are_counted_per_face(clip: Path) -> None:
    printed = run("blink_counter.py", str(clip), cwd=clip.parent)
    assert printed == "face 1: 0 blinks in 0.5 s, 0 a minute\n"


def test_two_servos_turn_towards_the_face(tmp_path: Path) -> None:
    """The portrait stays at the upper left: pan goes on to the left, tilt up."""
    pytest.importorskip("gpiozero", reason="needs gpiozero")
    grey = DemoSource(pace=False).frame(0, 0).grey
    path = tmp_path / "left.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (960, 480))
    for _ in range(15):
        writer.write(cv2.cvtColor(cv2.copyMakeBorder(grey, 0, 0, 0, 320, cv2.BORDER_REPLICATE), cv2.COLOR_GRAY2BGR))
    writer.release()
    angles = re.findall(r"pan ([+-]\d+)", run("follow_face.py", str(path), cwd=tmp_path))
    assert len(angles) == 14
    assert int(angles[-1]) > int(angles[0]) > 0


def test_a_smile_makes_one_picture(clip: Path) -> None:
    printed = run("smile_camera.py", str(clip), cwd=clip.parent)
    assert re.fullmatch(r"smile 0\.\d\d: smile-1\.jpg\n", printed)
    assert cv2.imread(str(clip.parent / "smile-1.jpg")).shape == (480, 640, 3)


PICAMERA2 = """
import cv2, numpy as np
from fkp_edge.device.sources import DemoSource

class Picamera2:
    def __init__(self): self.demo, self.count = DemoSource(pace=False), 0
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def create_video_configuration(self, main, lores): return (main, lores)
    def configure(self, wanted): assert [side["size"] for side in wanted] == [(2028, 1520), (640, 480)]
    def start(self): pass
    def capture_file(self, name): cv2.imwrite(name, np.zeros((1520, 2028), np.uint8))
    def capture_array(self, name):
        assert name == "lores"
        self.count += 1
        if self.count > 60: raise KeyboardInterrupt
        return np.vstack([self.demo.frame(self.count, 0).grey, np.zeros((240, 640), np.uint8)])
"""


def test_the_pi_camera_takes_the_still_of_a_smile(tmp_path: Path) -> None:
    (tmp_path / "picamera2.py").write_text(PICAMERA2)
    command = [sys.executable, str(REPOSITORY / "examples/smile_camera.py"), "picamera"]
    done = subprocess.run(
        command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(tmp_path)}, capture_output=True, text=True,
        timeout=240, check=False,
    )  # fmt: skip
    assert "smile-1.jpg" in done.stdout, done.stderr
    assert cv2.imread(str(tmp_path / "smile-1.jpg")).shape == (1520, 2028, 3)


def test_the_head_moves_the_pointer_from_where_it_was(clip: Path) -> None:
    source = runpy.run_path(str(REPOSITORY / "examples/head_mouse.py"))
    faces = [
        fkp.Face(1, 1.0, (0, 0, 1, 1), np.zeros((15, 2), np.float32), fkp.Pose(*pose), False, FKP15, measures)
        for pose, measures in (
            ((10.0, 5.0, 0.0), fkp.Measures(mouth_open=0.0)),  # the middle
            ((12.0, 5.0, 0.0), fkp.Measures(mouth_open=0.0)),  # rests
            ((30.0, 5.0, 0.0), fkp.Measures(mouth_open=0.5)),  # to the subject's left, and clicks
            ((10.0, -5.0, 0.0), fkp.Measures(mouth_open=0.3)),  # down, the mouth still open
        )
    ]
    results = [fkp.TrackResult((face,), None, FKP15, "bgr", "tracking", 0.0, 0, 0) for face in faces]
    moves: list[tuple[int, int, bool]] = []
    program = source["main"]
    program.__globals__["fkp"] = SimpleNamespace(track=lambda *_, **__: results)
    program("demo", lambda *move: moves.append(move))
    assert moves == [(-26, 0, True), (0, 10, False)]


def test_a_pointer_that_is_pretended_is_printed(clip: Path) -> None:
    lines = run("head_mouse.py", str(clip), "--print", cwd=clip.parent).splitlines()
    assert all(re.fullmatch(r"-?\d+ -?\d+ (True|False)", line) for line in lines)


def test_a_puppet_is_moved_by_osc(clip: Path) -> None:
    osc = pytest.importorskip("pythonosc.osc_message", reason="needs fkp-edge[osc]")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as puppet:
        puppet.bind(("127.0.0.1", 0))
        puppet.settimeout(10)
        place = f"127.0.0.1:{puppet.getsockname()[1]}"
        assert run("puppet_osc.py", str(clip), place, cwd=clip.parent).startswith("15 frames sent to ")
        told = [osc.OscMessage(puppet.recv(1024)) for _ in range(5)]
    assert [message.address.removeprefix("/puppet/") for message in told] == ["head", "place", "eyes", "mouth", "smile"]
    assert told[4].params[0] > 0.5


def test_somebody_is_told_to_home_assistant(clip: Path) -> None:
    paho = pytest.importorskip("paho.mqtt.subscribe", reason="needs fkp-edge[mqtt]")
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if mosquitto is None:
        pytest.skip("no broker; apt-get install mosquitto")
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
    with subprocess.Popen([mosquitto, "-p", str(port)], stderr=subprocess.DEVNULL) as broker:
        try:
            while broker.poll() is None:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                    break
            printed = run("presence_mqtt.py", str(clip), f"127.0.0.1:{port}", cwd=clip.parent)
            topics = ["homeassistant/binary_sensor/fkp_edge_somebody/config", "fkp-edge/somebody"]
            config, state = (paho.simple(topic, port=port, hostname="127.0.0.1").payload for topic in topics)
        finally:
            broker.terminate()
    assert printed.endswith(" s: somebody\n")
    assert json.loads(config)["state_topic"] == "fkp-edge/somebody"
    assert state == b"ON"


def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    matplotlib = pytest.importorskip("matplotlib", reason="needs matplotlib")
    matplotlib.use("agg")
    notebook = json.loads((REPOSITORY / "examples/notebook.ipynb").read_text())
    names: dict[str, object] = {}
    for number, cell in enumerate(notebook["cells"]):
        if cell["cell_type"] == "code":
            exec(compile(cell["source"], f"notebook.ipynb, cell {number}", "exec"), names)
    assert len(names["result"]) == 1
    assert "(68, 2)" in capsys.readouterr().out
    assert [len(axis.lines[0].get_xdata()) for axis in names["axes"]] == [120] * 3


@pytest.mark.parametrize(
    "name",
    "blink_counter count_faces draw_points drowsiness_alarm follow_face log_csv puppet_osc smile_camera".split(),
)
def test_an_example_says_in_one_line_what_it_cannot_use(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if name in ("drowsiness_alarm", "follow_face"):
        gpiozero = pytest.importorskip("gpiozero", reason="needs gpiozero")
        monkeypatch.setattr(gpiozero.Device, "pin_factory", None)
    given = ["nonsense"] if name != "log_csv" else ["/nonexistent/a.csv"]
    monkeypatch.setattr(sys, "argv", [name, *given])
    with pytest.raises(SystemExit, match=r"^error: .*(nonsense|/nonexistent/a\.csv)"):
        runpy.run_path(str(REPOSITORY / f"examples/{name}.py"), run_name="__main__")


def test_a_table_that_exists_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.csv").write_text("mine")
    monkeypatch.setattr(sys, "argv", ["log_csv", str(tmp_path / "mine.csv")])
    with pytest.raises(SystemExit, match=r"^error: .*mine\.csv exists; name another file"):
        runpy.run_path(str(REPOSITORY / "examples/log_csv.py"), run_name="__main__")
    assert (tmp_path / "mine.csv").read_text() == "mine"
