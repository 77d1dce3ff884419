"""Machines for the doctor: file trees and programs' answers.

Written from the documentation of the kernel (device tree, sysfs, procfs), of Raspberry Pi OS and of `vcgencmd`; not
recorded from hardware, which was not there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from fkp_edge.core.subprocesses import Ended
from fkp_edge.device.doctor import Machine
from fkp_edge.device.doctor.library_probe import MARK

BOOKWORM = {
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
    "etc/group": "root:x:0:\nvideo:x:44:pi\n",
    "usr/lib/python3/dist-packages/numpy-1.24.2.egg-info/PKG-INFO": "",
    "usr/lib/python3/dist-packages/picamera2/__init__.py": "",
    "usr/lib/python3/dist-packages/simplejpeg/__init__.py": "",
    "home/pi/fkp-edge/.venv/pyvenv.cfg": "home = /usr/bin\ninclude-system-site-packages = true\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "ondemand\n",
    "sys/class/thermal/thermal_zone0/type": "cpu-thermal\n",
    "sys/class/thermal/thermal_zone0/temp": "48650\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
    "run/systemd/timesync/synchronized": "",
    "proc/net/tcp": "  sl  local_address rem_address   st\n",
    "dev/video0": "",
    "dev/media0": "",
    "dev/dma_heap/linux,cma": "",
}
TRIXIE = BOOKWORM | {"etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\n'}
del TRIXIE["usr/lib/python3/dist-packages/numpy-1.24.2.egg-info/PKG-INFO"]
TRIXIE["usr/lib/python3/dist-packages/numpy-2.2.4.dist-info/METADATA"] = ""
UNICAM = {"sys/class/video4linux/video0/name": "unicam-image\n"}
TREES = {
    "Pi 3": BOOKWORM | UNICAM | {"proc/device-tree/model": "Raspberry Pi 3 Model B Plus Rev 1.3\0"},
    "Pi Zero 2": BOOKWORM | UNICAM | {"proc/device-tree/model": "Raspberry Pi Zero 2 W Rev 1.0\0"},
    "Pi 4": BOOKWORM | UNICAM | {"proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\0"},
    "Pi 5": TRIXIE
    | {
        "proc/device-tree/model": "Raspberry Pi 5 Model B Rev 1.0\0",
        "sys/class/video4linux/video0/name": "rp1-cfe-csi2_ch0\n",
    },
    "desktop": {"etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n'},
}
NUMPY = {"Pi 5": "2.2.4", "desktop": "2.4.6"}
CONFIG = 'source = "auto"\nstream = ["tcp://127.0.0.1:8765"]\nweb = ""\nmodel = "keypoints-int8"\naccelerator = "cpu"\n'


def library(output: str = "", **facts: Any) -> Ended:
    """What a library's probe says."""
    return Ended(int("error" in facts), f"{output}\n{MARK}{json.dumps(facts)}\n")


class FakePrograms:
    """Answers commands by how they end; keeps what was run. One without an answer is not installed."""

    def __init__(self, answers: dict[str, Ended]) -> None:
        self.answers = answers
        self.commands: list[str] = []

    def __call__(self, command: Sequence[str], *, given: bytes = b"") -> Ended:
        said = " ".join(command)
        self.commands.append(said)
        for words, ended in self.answers.items():
            if words in said:
                return ended
        raise FileNotFoundError(2, "No such file or directory", command[0])


VERIFIED = {"model": "keypoints-int8.tflite", "sha256": "408ad4f9" * 8, "first": None, "cases": 3}
GOOD = {
    "library_probe numpy": library(version="1.26.4", file="/x"),
    "library_probe opencv": library(version="4.11.0", file="/x", cascade="/site/cv2/data/haar.xml"),
    "library_probe runtime": library("INFO: Created TensorFlow Lite XNNPACK delegate", name="LiteRT", version="2.3.0"),
    "library_probe picamera2": library(cameras=["imx708"]),
    "--print-config": Ended(0, CONFIG),
    "fkp_edge verify": Ended(0, json.dumps(VERIFIED | {"runs_on": "LiteRT 2.3.0"})),
}
NO_PICAMERA2 = {"library_probe picamera2": library(error="ModuleNotFoundError: No module named 'picamera2'")}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[dict[str, str]], Path]:
    """Writes files below a new folder, which it gives; a text that begins with `->` makes a link."""

    def to(files: dict[str, str]) -> Path:
        root = tmp_path / f"root{len([*tmp_path.iterdir()])}"
        for name, text in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text.startswith("->"):
                path.symlink_to(text.removeprefix("->"))
            else:
                path.write_text(text)
        return root

    return to


@pytest.fixture
def machine(write) -> Callable[..., Machine]:
    """A named machine, with other files and other answers, and other facts of this Python."""

    def make(
        name: str = "Pi 4", files: dict[str, str] | None = None, answers: dict[str, Ended] | None = None, **facts: Any
    ) -> Machine:
        good = GOOD | {"library_probe numpy": library(version=NUMPY.get(name, "1.26.4"), file="/x")}
        desktop = name == "desktop"
        given = {
            "python": (3, 11),
            "architecture": "x86_64" if desktop else "aarch64",
            "is_64_bit": True,
            "libc": "glibc 2.36",
            "prefix": Path("/home/pi/fkp-edge/.venv"),
            "in_environment": not desktop,
            "user": "pi",
            "process": 1,
            "may_open": lambda _: True,
            "free_bytes": lambda _: 8 * 2**30,
            "vcgencmd": "no-such-program",
        }
        answered = good | (NO_PICAMERA2 if desktop else {}) | (answers or {})
        return Machine(root=write(TREES[name] | (files or {})), run=FakePrograms(answered), **given | facts)

    return make


@pytest.fixture
def found(machine) -> Callable[..., str]:
    """`check(name, files, answers, **facts)` of a machine as one text: its status, what was found, and the fix."""
    from fkp_edge.device.doctor import CHECKS

    def make(check: str, name: str = "Pi 4", *given: Any, **facts: Any) -> str:
        finding = CHECKS[check](machine(name, *given, **facts))
        return f"{finding.status}: {finding.text}" + (f"; fix: {finding.fix}" if finding.fix else "")

    return make


@pytest.fixture
def says() -> Callable[..., Ended]:
    """What a library's probe says."""
    return library
