"""The product doing its job, as a user meets it: commands in processes of their own, real sockets, real pictures."""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from fkp_edge.core.keypoints import FKP15
from fkp_edge.data.pictures import portrait, portrait_points
from fkp_edge.evaluation.metrics import face_nme
from fkp_edge.model.shipped import shipped_model
from fkp_edge.stream import ObservationMessage, connect

COMMAND = [sys.executable, "-m", "fkp_edge"]


def fkp(*args: str, cwd: Path, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *args], cwd=cwd, capture_output=True, text=True, timeout=timeout)


@contextmanager
def running(cwd: Path, *args: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`fkp-edge run` on a free port: the process and the stream's URL."""
    command = [*COMMAND, "run", "--stream", "tcp://127.0.0.1:0", *args]
    process = subprocess.Popen(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        for line in process.stderr:
            if match := re.search(r"streaming on (tcp://\S+);", line):
                yield process, match[1]
                break
        else:
            raise AssertionError("the run ended before it streamed")
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=10)


def test_the_demo_runs_to_its_end_with_summary_and_sheet(tmp_path: Path) -> None:
    result = fkp("run", "--source", "demo", "--fast", "--json", "--stream", "tcp://127.0.0.1:0", cwd=tmp_path)
    summary = json.loads(result.stdout.splitlines()[-1])
    assert result.returncode == 0
    assert (summary["frames"], summary["dropped"], summary["faces"]) == (376, 0, 2)
    assert summary["states"]["tracking"] > 0.8 * 376
    assert summary["jitter_px"] < 3
    assert cv2.imread(str(tmp_path / "fkp-demo.png")).shape == (4 * 240, 4 * 320, 3)


def test_the_summary_is_a_table_on_stdout_and_the_rest_on_stderr(tmp_path: Path) -> None:
    result = fkp("run", "--source", "demo", "--fast", "--stream", "tcp://127.0.0.1:0", cwd=tmp_path)
    words = [line.split()[0] for line in result.stdout.splitlines()]
    assert words[:5] == ["frames", "states", "faces", "first", "jitter"]
    assert {"engine", "search", "crop", "infer", "decode"} <= set(words)
    assert "annotated frames: fkp-demo.png" in result.stderr


@pytest.mark.skipif(bool(list(Path("/dev").glob("video*"))), reason="this machine has a camera: auto takes it")
def test_without_a_camera_the_first_line_says_that_the_demo_plays(tmp_path: Path) -> None:
    result = fkp("run", "--fast", "--stream", "tcp://127.0.0.1:0", cwd=tmp_path)
    assert result.stderr.splitlines()[0] == "no camera device found: the bundled demo plays"


def test_several_watchers_see_the_same_stream_while_one_sends_garbage_and_one_never_reads(tmp_path: Path) -> None:
    with running(tmp_path, "--source", "demo") as (_, url):
        host, port = url.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port))) as rude, socket.create_connection((host, int(port))):
            rude.sendall(b"\x00garbage\xff" * 1000)
            watchers = [
                subprocess.Popen(
                    [*COMMAND, "watch", url, "--json", "--count", "40"], stdout=subprocess.PIPE, text=True, cwd=tmp_path
                )
                for _ in range(2)
            ]
            outputs = [watcher.communicate(timeout=30)[0].splitlines() for watcher in watchers]
    for lines in outputs:
        messages = [json.loads(line) for line in lines]
        assert messages[0]["type"] == "hello"
        assert messages[0]["points"] == list(FKP15.names)
        seen = [message for message in messages if message["type"] == "observation"]
        assert len(seen) == 40
        # a busy machine drops frames, and a watcher without its turn misses messages: neither comes out of order
        steps = [(b["sequence"] - a["sequence"], b["dropped"]) for a, b in pairwise(seen)]
        assert all(step == 0 or step > dropped for step, dropped in steps)  # 0: nothing new within a second


def test_datagrams_reach_who_watches(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{free.getsockname()[1]}"
    with running(tmp_path, "--source", "demo", "--stream", url):
        lines = fkp("watch", url, "--json", "--count", "5", cwd=tmp_path).stdout.splitlines()
    assert [json.loads(line)["type"] for line in lines] == ["hello", *["observation"] * 5]


def test_watch_shows_the_stream_and_says_when_it_ends(tmp_path: Path) -> None:
    with running(tmp_path, "--source", "demo", "--fast") as (process, url):
        watcher = subprocess.Popen([*COMMAND, "watch", url], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        out = watcher.communicate(timeout=30)[0]
        process.wait(timeout=30)
    assert "15 points" in out
    assert out.splitlines()[-1] == f"{url} ended"


def test_a_recorded_run_is_replayed_byte_for_byte_and_exported(tmp_path: Path) -> None:
    run = ("run", "--source", "demo", "--fast", "--stream", "tcp://127.0.0.1:0", "--record", "a.jsonl.gz")
    assert fkp(*run, cwd=tmp_path).returncode == 0
    recorded = gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).decode().splitlines()[1:]
    assert [json.loads(recorded[i])["type"] for i in (0, 1)] == ["hello", "observation"]
    command = [*COMMAND, "replay", "a.jsonl.gz", "--fast", "--stream", "unix://s"]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        watched = fkp("watch", "unix://s", "--json", "--record", "b.jsonl", cwd=tmp_path)
        assert process.communicate(timeout=30)[1].splitlines()[-1] == "376 observations"
    assert watched.stdout.splitlines() == recorded
    assert (tmp_path / "b.jsonl").read_text().splitlines()[1:] == recorded
    assert fkp("export", "b.jsonl", "--out", "b.csv", cwd=tmp_path).stdout == "b.csv: 376 rows\n"


def test_a_run_says_where_its_datagrams_go(tmp_path: Path) -> None:
    addresses = ("--stream", "udp://127.0.0.1:9", "--stream", "opentrack://127.0.0.1:9")
    said = fkp("run", "--source", "demo", "--fast", *addresses, cwd=tmp_path).stderr
    assert "streaming to udp://127.0.0.1:9; on that machine: fkp-edge watch udp://127.0.0.1:9\n" in said
    assert "streaming to opentrack://127.0.0.1:9\n" in said


def test_a_service_that_starts_again_keeps_its_last_recording(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("half a line")
    run = ("run", "--source", "demo", "--fast", "--stream", "tcp://127.0.0.1:0", "--record", "a.jsonl")
    for name, before in (("a-2.jsonl", "a.jsonl"), ("a-3.jsonl", "a.jsonl")):
        result = fkp(*run, cwd=tmp_path)
        assert result.returncode == 0
        assert f"recording to {name}: {before} exists already" in result.stderr
    assert (tmp_path / "a.jsonl").read_text() == "half a line"
    assert fkp("export", "a-3.jsonl", "--out", "b.csv", cwd=tmp_path).stdout == "b.csv: 376 rows\n"


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_a_run_cleanly_with_the_summary(tmp_path: Path, kind: signal.Signals) -> None:
    with running(tmp_path, "--source", "demo") as (process, url):
        with connect(url) as stream:
            assert sum(isinstance(m, ObservationMessage) for m, _ in zip(stream, range(10), strict=False)) >= 8
        process.send_signal(kind)
        out, _ = process.communicate(timeout=10)
    assert process.returncode == 0
    assert out.startswith("frames ")


def test_a_second_run_on_the_same_port_is_refused(tmp_path: Path) -> None:
    with running(tmp_path, "--source", "demo") as (_, url):
        result = fkp("run", "--source", "demo", "--stream", url, cwd=tmp_path)
    assert result.returncode == 2
    assert re.search(r"^fkp-edge: error: port \d+ on 127.0.0.1 is in use", result.stderr, re.MULTILINE)


def test_predict_finds_and_draws_the_portrait(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "collins.png"), portrait())
    result = fkp("predict", "collins.png", "--json", "--draw", "drawn", cwd=tmp_path)
    answer = json.loads(result.stdout)
    points = np.array([answer["faces"][0]["points"]], np.float32)
    drawn = cv2.imread(str(tmp_path / "drawn/collins-points.png"))
    assert (answer["image"], len(answer["faces"])) == ("collins.png", 1)
    assert face_nme(points, portrait_points()[None], FKP15)[0] < 0.08
    assert not np.array_equal(drawn, portrait())


def test_predict_refuses_to_draw_two_pictures_of_one_name(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "1.png"), portrait())
    result = fkp("predict", "a", "b", "--draw", "drawn", cwd=tmp_path)
    assert result.returncode == 2
    assert "have one name, so --draw would keep one only" in result.stderr
    assert not (tmp_path / "drawn").exists()


def test_an_unreadable_picture_does_not_keep_the_others_back(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "c.png"), portrait())
    (tmp_path / "b.png").write_text("no picture")
    result = fkp("predict", ".", "--json", cwd=tmp_path)
    assert [json.loads(line)["image"] for line in result.stdout.splitlines()] == ["c.png"]
    assert result.returncode == 2
    assert "fkp-edge: error: b.png is not a picture" in result.stderr


def test_a_sheet_that_cannot_be_written_is_refused_before_the_run(tmp_path: Path) -> None:
    result = fkp("run", "--source", "demo", "--sheet", "nowhere/sheet.png", cwd=tmp_path)
    assert result.returncode == 2
    assert result.stderr == (
        "fkp-edge: error: --sheet nowhere/sheet.png cannot be written; expected FILE.png in a folder that exists\n"
    )


def test_what_reads_the_output_may_stop_reading(tmp_path: Path) -> None:
    with running(tmp_path, "--source", "demo") as (_, url):
        shell = f"{sys.executable} -m fkp_edge watch {url} --json | head -n 3"
        result = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, timeout=30, cwd=tmp_path)
    assert len(result.stdout.splitlines()) == 3
    assert "Traceback" not in result.stderr


def test_the_easy_clip_is_tracked_with_few_searches(tmp_path: Path, research_data: Path) -> None:
    clip = research_data / "clips/head-pose-face-detection-male.mp4"
    result = fkp("run", "--source", str(clip), "--fast", "--json", "--stream", "tcp://127.0.0.1:0", cwd=tmp_path)
    summary = json.loads(result.stdout.splitlines()[-1])
    assert summary["states"].get("tracking", 0) >= 0.95 * summary["frames"]
    assert summary["searches"] < 0.15 * summary["frames"]
    assert not (tmp_path / "fkp-demo.png").exists()


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    environment = os.environ | {"FKP_EDGE_DEBUG": "1"}
    result = subprocess.run(
        [*COMMAND, "predict", "nowhere"], env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=30
    )
    assert "Traceback" in result.stderr


ONE_LINE = [
    (["predict", "nowhere.jpg"], "nowhere.jpg does not exist; expected a picture"),
    (["run", "--source", "junk.mp4"], "junk.mp4 is a text file, no video; expected a complete MP4"),
    (["run", "--source", "v4l2:98"], "/dev/video98 does not exist; plug the camera in"),
    (["run", "--source", "demo", "--stream", "tcp://127.0.0.1:1"], "127.0.0.1"),
    (["eval", str(shipped_model()), "--data", "."], "no labelled faces in .; expected NAME.pts beside NAME.jpg"),
    (["run", "--source", "demo", "--model", "junk.mp4"], "junk.mp4 is not a TFLite model"),
]


@pytest.mark.parametrize(
    ("arguments", "text"), ONE_LINE, ids=lambda value: " ".join(value) if type(value) is list else ""
)
def test_an_error_is_one_line_even_to_the_descriptor(tmp_path: Path, arguments: list[str], text: str) -> None:
    """OpenCV, FFmpeg and TFLite write to descriptor 2 past Python: only a process of its own shows it."""
    (tmp_path / "junk.mp4").write_text("no video and no model " * 100)
    if arguments[-1].endswith(":1"):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            arguments = [*arguments[:-1], f"tcp://127.0.0.1:{taken.getsockname()[1]}"]
            result = fkp(*arguments, cwd=tmp_path)
    else:
        result = fkp(*arguments, cwd=tmp_path)
    assert result.returncode == 2
    assert len(result.stderr.splitlines()) == 1, result.stderr
    assert text in result.stderr


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "collins.png"), portrait())
    with Path("/dev/full").open("w") as full:
        command = [*COMMAND, "predict", "collins.png"]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, cwd=tmp_path)
    assert result.returncode == 2
    assert "fkp-edge: error: [Errno 28] No space left on device" in result.stderr


def test_with_a_token_the_line_that_says_how_to_watch_names_its_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0123456789abcdef")
    arguments = ["--source", "demo", "--fast", "--stream", "tcp://127.0.0.1:0", "--token-file", "token"]
    first = fkp("run", *arguments, cwd=tmp_path).stderr.splitlines()[0]
    assert re.search(r"watch it: \S+ watch tcp://127\.0\.0\.1:\d+ --token-file token$", first)


def test_two_signals_at_once_still_end_without_a_traceback(tmp_path: Path) -> None:
    with running(tmp_path, "--source", "demo") as (process, _):
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=10)
    assert process.returncode in (0, 130)
    assert "Traceback" not in err


def test_a_terminal_that_nobody_reads_does_not_stop_the_stream(tmp_path: Path) -> None:
    command = [*COMMAND, "run", "--source", "demo", "--stream", "tcp://127.0.0.1:0"]
    process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    url = next(m[1] for line in process.stderr if (m := re.search(r"streaming on (tcp://\S+);", line)))
    process.stderr.close()  # from now on every write fails
    with connect(url) as stream:
        seen = [m for m, _ in zip(stream, range(60), strict=False)]
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=10) == 0
    assert len(seen) == 60


def test_a_pipe_that_falls_silent_does_not_keep_a_run_from_ending() -> None:
    command = [sys.executable, "-m", "fkp_edge", "run", "--source", "gray:64x48", "--stream", "tcp://127.0.0.1:0"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdin.write(bytes(64 * 48))
        process.stdin.flush()
        assert any(b"searching" in line for line in process.stderr)
        process.terminate()
        assert process.wait(20) == 0
        assert b"frames            1 (0 dropped)" in process.stdout.read()


def test_ctrl_c_ends_what_runs_until_it_is_stopped_with_0_and_what_it_cuts_short_with_130(tmp_path: Path) -> None:
    with running(tmp_path, "--source", "demo", "--loop") as (process, url):
        watcher = subprocess.Popen([*COMMAND, "watch", url], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
        assert "15 points" in watcher.stdout.readline()
        watcher.send_signal(signal.SIGINT)
        assert watcher.wait(timeout=20) == 0
        watcher.stdout.close()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 0
    command = [*COMMAND, "bench", "--seconds", "600"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as bench:
        assert bench.stderr.readline()
        bench.send_signal(signal.SIGINT)
        said = bench.stderr.read()
        assert bench.wait(timeout=20) == 130
    assert said.splitlines()[-1] == "fkp-edge bench: cut short"
    assert "Traceback" not in said


def test_predict_draws_a_video_with_its_faces(tmp_path: Path) -> None:
    picture = cv2.resize(portrait(), (256, 256))
    writer = cv2.VideoWriter(str(tmp_path / "clip.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 25, (256, 256))
    for _ in range(6):
        writer.write(picture)
    writer.release()
    result = fkp("predict", "clip.avi", "--json", "--draw", "out", cwd=tmp_path)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert [(line["image"], line["frame"], len(line["faces"])) for line in lines] == [
        ("clip.avi", n, 1) for n in range(6)
    ]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["clip-points.mp4"]
    drawn = cv2.VideoCapture(str(tmp_path / "out/clip-points.mp4"))
    assert (drawn.get(cv2.CAP_PROP_FRAME_COUNT), drawn.get(cv2.CAP_PROP_FPS)) == (6, 25)
    assert np.abs(drawn.read()[1].astype(int) - picture).mean() > 0.5
