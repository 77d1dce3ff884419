"""What run, watch and what reads recordings refuse."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from fkp_edge.cli.main import main

FREE = "tcp://127.0.0.1:0"


# run: sources


def test_run_on_a_missing_file(refused, tmp_path: Path):
    path = tmp_path / "none.mp4"
    assert refused("run", "--source", path, "--stream", FREE) == (
        f"source '{path}' does not exist; expected auto, picamera, usb, v4l2:N, demo, a video file, "
        "a folder, a URL such as rtsp://HOST/PATH, or gray:WIDTHxHEIGHT for frames on standard input"
    )


def test_run_on_a_text_file_named_mp4(refused, text_file):
    path = text_file("a.mp4")
    assert refused("run", "--source", path, "--stream", FREE) == (
        f"{path} is a text file, no video; expected a complete MP4, AVI, MKV or the like"
    )


def test_run_on_a_text_that_ffmpeg_would_show_letter_by_letter(refused, text_file):
    path = text_file("notes.txt")
    assert refused("run", "--source", path, "--stream", FREE).startswith(f"{path} is a text file, no video;")


def test_run_on_a_video_cut_before_its_index(refused, video):
    path = video("a.mp4", "mp4v", kept=0.5)
    assert refused("run", "--source", path, "--stream", FREE) == (
        f"{path} cannot be read as a video; expected a complete MP4, AVI, MKV or the like"
    )


def test_run_on_a_video_cut_in_its_frames_plays_them_and_fails(capsys, video):
    path = video("a.avi", "MJPG", kept=0.5)
    assert main(["run", "--source", str(path), "--stream", FREE, "--fast"]) == 2
    (error,) = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    start, _, end = error.partition(" ends after ")
    assert start == f"fkp-edge: error: {path}"
    assert 5 < int(end.split()[0]) < 15
    assert end.endswith(" of 20 frames: it is truncated or damaged; copy or record it again")


def test_a_run_that_fails_fails_also_where_nobody_reads_its_summary(video):
    command = [sys.executable, "-m", "fkp_edge", "run", "--source", video("a.avi", "MJPG", kept=0.5)]
    reads, writes = os.pipe()
    os.close(reads)
    with subprocess.Popen([*command, "--stream", FREE, "--fast"], stdout=writes, stderr=subprocess.PIPE) as process:
        os.close(writes)
        errors = process.stderr.read().decode()
    assert process.returncode == 2
    assert "is truncated or damaged" in errors.splitlines()[-1]


def test_run_on_an_empty_folder(refused, empty: Path):
    assert refused("run", "--source", empty, "--stream", FREE).startswith(f"no pictures in {empty}; expected files")


def test_run_on_a_folder_with_a_bad_picture(capsys, text_file, tmp_path: Path):
    path = text_file("a.jpg")
    assert main(["run", "--source", str(tmp_path), "--stream", FREE, "--fast"]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith(f"fkp-edge: error: {path} is not a picture that OpenCV reads: it is a text file; expected ")


def test_run_on_an_absent_camera(refused):
    error = refused("run", "--source", "v4l2:99", "--stream", FREE)
    assert error.startswith("/dev/video99 does not exist; plug the camera in, or name another; there is ")


@pytest.mark.parametrize("source", ["v4l2:x", "v4l2:", "v4l2:-1", "v4l2:0 1"])
def test_run_on_a_camera_without_a_number(refused, source: str):
    error = refused("run", "--source", source, "--stream", FREE)
    assert error == f"source {source!r} has no device number; expected v4l2:0 for /dev/video0"


# run: streams


def test_run_on_a_port_in_use(refused, taken_port: int):
    assert refused("run", "--source", "demo", "--stream", f"tcp://127.0.0.1:{taken_port}") == (
        f"port {taken_port} on 127.0.0.1 is in use; stop the program that listens there (another fkp-edge run?) "
        "or name another port with --stream tcp://127.0.0.1:PORT"
    )


@pytest.mark.skipif(bool(list(Path("/dev").glob("video*"))), reason="this machine has a camera: auto takes it")
def test_a_port_in_use_is_said_before_the_demo_that_would_play(refused, taken_port: int):
    error = refused("run", "--stream", FREE, "--web", f"127.0.0.1:{taken_port}")
    assert error.startswith(f"port {taken_port} on 127.0.0.1 is in use; ")


@pytest.mark.parametrize("url", ["tcp://0.0.0.0:0", "tcp://[::]:0", "tcp://192.0.2.1:8765"])
def test_run_beyond_loopback(refused, url: str):
    error = refused("run", "--source", "demo", "--stream", url)
    assert url in error
    assert "--insecure" in error


@pytest.mark.parametrize(
    ("url", "meant"), [("127.0.0.1:8765", "tcp://127.0.0.1:8765"), ("tcp://a", "tcp://a:8765"), ("", "")]
)
def test_run_on_no_address(refused, url: str, meant: str):
    assert refused("run", "--source", "demo", "--stream", url) == (
        f"stream address {url!r} is not understood; {f'did you mean {meant}? ' if meant else ''}"
        "expected tcp://HOST:PORT, ws://HOST:PORT, unix:///PATH, udp://, osc://, vmc://, opentrack:// or "
        "openseeface://HOST:PORT, or mqtt://HOST:PORT"
    )


def test_watch_a_stream_of_another_kind(refused):
    assert "'rtsp://127.0.0.1:8765' is not understood; expected tcp:" in refused("watch", "rtsp://127.0.0.1:8765")


def test_run_sending_datagrams_beyond_loopback(refused):
    error = refused("run", "--source", "demo", "--stream", FREE, "--stream", "udp://192.0.2.1:9000")
    assert error.startswith("udp://192.0.2.1:9000 sends faces over the network, and datagrams carry no token;")


@pytest.mark.parametrize("command", [["run", "--source", "demo"], ["watch"]])
def test_a_token_file_without_a_token(refused, empty: Path, command: list[str]):
    path = empty / "token"
    path.write_text("short")
    assert refused(*command, "--token-file", path).startswith(f"token file {path} holds no token of 16 to 200 ASCII")
    assert refused(*command, "--token-file", empty / "none").startswith(f"cannot read token file {empty / 'none'}: No")


def test_run_with_half_of_a_certificate(refused, text_file):
    assert refused("run", "--source", "demo", "--tls-cert", text_file("cert.pem")) == (
        "a certificate and its key go together; expected both --tls-cert FILE and --tls-key FILE"
    )


def test_run_with_a_certificate_that_is_none(refused, text_file):
    cert, key = text_file("cert.pem"), text_file("key.pem")
    error = refused("run", "--source", "demo", "--tls-cert", cert, "--tls-key", key)
    assert error.startswith(f"cannot use certificate {cert} with key {key}: ")


def test_run_wss_without_a_certificate(refused):
    pytest.importorskip("aiohttp", reason="needs fkp-edge[web]")
    assert refused("run", "--source", "demo", "--stream", "wss://127.0.0.1:0") == (
        "wss://127.0.0.1:0 needs a certificate; name it with --tls-cert FILE --tls-key FILE"
    )


# run: the page


@pytest.mark.parametrize("place", ["8080", "127.0.0.1", "127.0.0.1:8080/x", "http://127.0.0.1:8080", "[::1"])
def test_run_with_a_page_nowhere(refused, place: str):
    assert refused("run", "--source", "demo", "--web", place) == (
        f"page address {place!r} is not understood; expected HOST:PORT, such as 127.0.0.1:8080"
    )


def test_run_with_a_page_beyond_loopback(refused):
    error = refused("run", "--source", "demo", "--web", "0.0.0.0:0")
    assert error.startswith("http://0.0.0.0:0/ can be reached from other machines; bind 127.0.0.1, ask for a token")


def test_run_with_a_page_on_a_port_in_use(refused, taken_port: int):
    pytest.importorskip("aiohttp", reason="needs fkp-edge[web]")
    error = refused("run", "--source", "demo", "--stream", FREE, "--web", f"127.0.0.1:{taken_port}")
    assert error.startswith(f"port {taken_port} on 127.0.0.1 is in use; ")
    assert error.endswith("or name another port with --web 127.0.0.1:PORT")


def test_run_with_a_preview_or_effect_that_nothing_shows(refused):
    assert refused("run", "--source", "demo", "--preview") == (
        "--preview is for the picture on the live page; expected --web with it"
    )
    assert refused("run", "--source", "demo", "--web", "127.0.0.1:0", "--effect", "glasses") == (
        "--effect is for the picture on the live page; expected --preview with it"
    )


def test_run_with_an_effect_that_is_no_picture(refused, text_file):
    pytest.importorskip("aiohttp", reason="needs fkp-edge[web]")
    path = text_file("a.png")
    arguments = ["--stream", FREE, "--web", "127.0.0.1:0", "--preview", "--effect", path]
    assert refused("run", "--source", "demo", *arguments).startswith(f"effect {path} is no PNG with transparency;")


# recordings


def test_record_over_a_file(refused, text_file):
    path = text_file("a.jsonl")
    error = refused("watch", "--record", path)
    assert error == f"recording {path} exists already; name another file, or remove it"


@pytest.mark.parametrize("command", [["replay"], ["export", "--out", "/nowhere/a.csv"]])
def test_what_is_no_recording(refused, text_file, command: list[str]):
    path = text_file("a.jsonl")
    assert refused(*command, path).startswith(f"{path} does not start as a recording does")


def test_a_recording_that_is_missing(refused, empty: Path):
    path = empty / "none"
    assert refused("replay", path) == f"cannot read {path}: No such file or directory; expected a recording"
