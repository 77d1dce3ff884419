"""The parts of `make test-vm` that need no virtual machine: its agent, its wire, its USB camera, its verdicts."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import json
import os
import pty
import socket
import struct
import subprocess
import sys
import tty
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def part(name: str) -> ModuleType:
    """A module of the folder, which is no package."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        return importlib.import_module(f"device_in_a_box.{name}")


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


# the agent and its wire


@pytest.fixture
def lines() -> Iterator[Any]:
    """The wire to an agent that runs here, on a terminal in the place of a virtio port."""
    ours, theirs = pty.openpty()
    tty.setraw(theirs)
    agent = subprocess.Popen([sys.executable, str(BENCHMARKS / "device_in_a_box/agent.py"), os.ttyname(theirs)])
    wire = part("wire").Lines(ours)
    assert len(wire.next(20)["hello"]) == 36
    yield wire
    agent.kill()
    agent.wait()
    os.close(ours)
    os.close(theirs)


def ask(lines: Any, command: str, timeout_s: float = 20.0) -> tuple[str, int]:
    lines.send(number=1, command=command, timeout_s=timeout_s)
    text = ""
    while "code" not in (line := lines.next(20)):
        text += line["text"]
    return text, line["code"]


def test_a_command_gives_its_output_and_code(lines: Any) -> None:
    assert ask(lines, "echo one; echo two >&2; exit 3") == ("one\ntwo\n", 3)


def test_a_long_output_comes_whole(lines: Any) -> None:
    assert ask(lines, "seq 30000")[0].splitlines()[-1] == "30000"


def test_a_command_that_does_not_end_is_killed(lines: Any) -> None:
    assert ask(lines, "echo begun; sleep 60", timeout_s=0.5) == ("begun\n", 124)


def test_lines_come_in_pieces(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    wire = part("wire").Lines(ours.fileno())
    theirs.sendall(b'{"a": 1}\n{"a"')
    assert wire.next(1) == {"a": 1}
    theirs.sendall(b": 2}\n")
    assert wire.next(1) == {"a": 2}


def test_a_silent_machine_and_a_dead_one_differ(ends: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = ends
    wire = part("wire").Lines(ours.fileno())
    with pytest.raises(TimeoutError):
        wire.next(0.01)
    theirs.close()
    with pytest.raises(ConnectionError):
        wire.next(1)


# the image


def test_each_system_has_an_image_of_its_own() -> None:
    key = part("image").image_key
    assert key("trixie") == key("trixie") != key("bookworm")


def test_what_is_missing_is_said_with_its_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "mke2fs").touch(0o755)
    assert part("image").missing("qemu-system-x86_64", is_root=False) == [
        "qemu-system-x86_64 (apt install qemu-system-x86)",
        "qemu-img (apt install qemu-utils)",
        "mmdebstrap (apt install mmdebstrap)",
        "root (sudo make test-vm)",
    ]


# the verdicts


def test_the_exposure_is_found() -> None:
    exposure = part("report").exposure
    assert exposure("...\n→ Overall exposure level for fkp-edge.service: 1.7 OK 🙂\n") == 1.7
    with pytest.raises(ValueError, match="no exposure level"):
        exposure("Unit fkp-edge.service not found.")


def test_what_the_doctor_fails_or_warns_of_is_a_problem() -> None:
    checks = [("NumPy", "ok"), ("camera", "fail"), ("power", "warn"), ("Coral", "absent")]
    said = json.dumps({"checks": [{"name": name, "status": status, "text": "x"} for name, status in checks]})
    assert part("report").failing(said) == ["camera: x", "power: x"]


def test_the_installers_steps_are_told_from_its_words() -> None:
    assert part("report").steps_of("+ pip install x\ninstall.sh: done\n+ sync -f y\n") == ["pip install x", "sync -f y"]


def test_a_report_names_what_is_not_as_it_should_be() -> None:
    report = part("report").Report("trixie")
    assert report.check("a", True, "x\n y")
    assert not report.check("b", False)
    assert report.failed == ["b"]
    assert report.as_dict()["checks"][0] == {"name": "a", "good": True, "found": "x y"}


# the USB camera

GET_CONFIGURATION = bytes.fromhex("8006000200000002")
SET_PROBE, GET_PROBE = bytes.fromhex("21010001 0100 1a00"), bytes.fromhex("a1810001 0100 1a00")


@pytest.fixture
def camera(tmp_path: Path) -> Any:
    (tmp_path / "0.jpg").write_bytes(b"\xff\xd8" + bytes(1000))
    (tmp_path / "0.yuyv").write_bytes(bytes(320 * 240 * 2))
    return part("usb_camera").Camera(tmp_path, tmp_path / "mode")


def test_the_descriptors_lengths_add_up(camera: Any) -> None:
    whole = camera.control(GET_CONFIGURATION, b"")
    assert struct.unpack_from("<H", whole, 2) == (len(whole),)
    found, at = [], 0
    while at < len(whole):
        found.append(whole[at + 1])
        at += whole[at]
    assert (at, found.count(4), found.count(5)) == (len(whole), 2, 1)


def test_a_format_that_is_asked_for_is_given(camera: Any) -> None:
    assert camera.control(SET_PROBE, struct.pack("<HBBI18x", 1, 2, 1, 666666)) == b""
    given = camera.control(GET_PROBE, b"")
    assert (len(given), given[2], *struct.unpack_from("<I", given, 18)) == (26, 2, 320 * 240 * 2)
    assert len(camera.next_payload()) == 2 + 320 * 240 * 2


def test_a_picture_ends_with_a_transfer_that_is_not_full(camera: Any) -> None:
    pieces = [camera.fill(501) for _ in range(3)]
    assert [len(piece) for piece in pieces] == [501, 501, 2]
    assert pieces[0][:4] == b"\x02\x03\xff\xd8"


@pytest.mark.parametrize(
    ("mode", "length", "as_it_was"), [("short", 503, True), ("corrupt", 1004, False), ("noise", 1004, False)]
)
def test_faults_are_made(camera: Any, mode: str, length: int, as_it_was: bool) -> None:
    camera.mode_file.write_text(mode)
    payload = camera.next_payload()
    assert (len(payload), payload[2:] == b"\xff\xd8" + bytes(length - 4)) == (length, as_it_was)


def test_a_stalled_camera_gives_nothing(camera: Any) -> None:
    camera.mode_file.write_text("stall")
    assert camera.fill(512) is None


def test_a_transfer_that_is_taken_back_is_answered(camera: Any, ends: tuple[socket.socket, socket.socket]) -> None:
    usb = part("usb_camera")
    ours, theirs = ends
    wire = usb.Wire(theirs, camera)
    ours.sendall(usb.HEADER.pack(usb.SUBMIT, 7, usb.DEVICE_ID, 1, usb.ENDPOINT, struct.pack(">II20x", 0, 512)))
    ours.sendall(usb.HEADER.pack(usb.UNLINK, 8, usb.DEVICE_ID, 0, 0, struct.pack(">I24x", 7)))
    wire.request()
    wire.request()
    command, number, _, _, _, rest = usb.HEADER.unpack(ours.recv(48))
    assert (command, number, *struct.unpack_from(">i", rest)) == (usb.UNLINKED, 8, usb.ECONNRESET)
    assert wire.waiting == []
    with contextlib.closing(ours):
        ours.sendall(
            usb.HEADER.pack(usb.SUBMIT, 9, usb.DEVICE_ID, 1, 0, struct.pack(">II12x", 0, 9) + GET_CONFIGURATION)
        )
        wire.request()
        assert ours.recv(48 + 9)[48:50] == b"\x09\x02"


# after a power cut


@pytest.fixture
def models() -> list[Path]:
    shipped = BENCHMARKS.parent / "fkp_edge/model/shipped"
    return [shipped / name for name in part("image").MODELS]


@pytest.fixture
def hashes(models: list[Path]) -> list[str]:
    return [hashlib.sha256(model.read_bytes()).hexdigest() for model in models]


def test_what_was_said_before_a_cut_ends_in_the_middle_of_a_line() -> None:
    lines = [
        '{"doing": 0, "wanted": "b"}',
        '{"done": 0, "placed": "b"}',
        '{"doing": 1, "wanted": "a"}',
        '{"done": 1, "pl',
    ]
    before = "\n".join(lines)
    said = part("power").read_said(before, f'{before}aced": "a"}}\n{{"doing": 2, "wanted": "c"}}\n', "a")
    assert (said.placed, said.wanted, said.done, said.meanwhile) == ("b", "a", 1, {"c"})


def test_what_was_recorded_in_the_last_moments_need_not_be_on_the_disk() -> None:
    said = part("power").Said(sizes=[(1.0, {"a": 5}), (2.0, {"a": 6}), (4.6, {"a": 9})])
    assert said.synced() == {"a": 6}


@pytest.mark.parametrize("half", [False, True])
def test_a_cut_between_two_models_is_no_problem(
    tmp_path: Path, models: list[Path], hashes: list[str], half: bool
) -> None:
    (tmp_path / "model.tflite").write_bytes(models[1].read_bytes())
    (tmp_path / f"model.tflite.{'replaced' if half else 'previous'}").write_bytes(models[0].read_bytes())
    said = part("power").Said(wanted=hashes[1], placed=hashes[0], done=3)
    cut = part("power").examine(tmp_path, said, models)
    assert (cut.problems, cut.state) == ([], "half" if half else "after")


def test_a_model_that_was_reported_and_is_not_there_is_a_problem(
    tmp_path: Path, models: list[Path], hashes: list[str]
) -> None:
    (tmp_path / "model.tflite").write_bytes(models[0].read_bytes())
    (tmp_path / ".model.tflite.left").touch()
    said = part("power").Said(wanted=hashes[1], placed=hashes[1], done=3)
    problems = part("power").examine(tmp_path, said, models).problems
    assert problems[0] == f"model.tflite is {hashes[0][:8]}, expected {hashes[1][:8]} or {hashes[1][:8]}"
    assert problems[1].startswith("a model is lost")
    assert problems[2] == "the next install leaves ['.model.tflite.left']"


def test_a_recording_that_lost_what_was_synced_is_a_problem(
    tmp_path: Path, models: list[Path], hashes: list[str]
) -> None:
    (tmp_path / "model.tflite").write_bytes(models[0].read_bytes())
    (tmp_path / "faces.jsonl").write_text("")
    said = part("power").Said(wanted=hashes[0], placed=hashes[0], sizes=[(0.0, {"faces.jsonl": 7}), (9.0, {})])
    problems = part("power").examine(tmp_path, said, models).problems
    assert problems[-1] == "faces.jsonl has 0 bytes, 7 were there 2.5 s before the cut"
