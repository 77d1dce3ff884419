"""A Pi 4's and a Pi 5's core under QEMU's user mode, in a folder ROOTS that arm64/roots.sh builds.

What runs there is counted in instructions by a plugin: a program marks with `os.getppid()` where it is. Counts are not
time: slow memory or a hot core takes longer over the same instructions.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import NoReturn

HERE = Path(__file__).resolve().parent
ARM_V8 = "fp asimd evtstrm crc32 cpuid"
ARM_V8_2 = "fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp"
USERLANDS = ("bookworm", "trixie")
"""The bases of Raspberry Pi OS 12 and 13, with the NumPy that each has."""
LIBRARIES = {"LiteRT": "ai-edge-litert", "NumPy": "numpy", "OpenCV": "opencv-python-headless"}


@dataclass(frozen=True)
class Board:
    """What the runtime sees of a board."""

    cpu: str
    """QEMU's name of the core. Never `max`: QEMU 7.2 then computes wrong int8 results."""
    part: str
    """The core's number in /proc/cpuinfo."""
    features: str
    """The core's features in /proc/cpuinfo; `asimddp` is the dot product that int8 kernels live on."""

    def cpuinfo(self) -> str:
        """Four cores as /proc/cpuinfo lists them."""
        core = f"Features\t: {self.features}\nCPU implementer\t: 0x41\nCPU architecture: 8\nCPU variant\t: 0x0\n"
        core += f"CPU part\t: {self.part}\nCPU revision\t: 3\n"
        return "\n".join(f"processor\t: {i}\n{core}" for i in range(4))


BOARDS = {"pi4": Board("cortex-a72", "0xd08", ARM_V8), "pi5": Board("cortex-a76", "0xd0b", ARM_V8_2)}


def stop(message: str) -> NoReturn:
    """Ends with 2: 1 is for what costs too much."""
    print(message, file=sys.stderr)
    raise SystemExit(2)


def emulator(
    roots: Path, board: Board, *, userland: str = "bookworm", site: Path | None = None, counting: bool = False
) -> tuple[list[str | Path], dict[str, str]]:
    """The command that starts a userland's Python as on `board`, and its environment; `site` goes before its own."""
    root = roots.resolve() / userland
    if not (root / "opt/site").is_dir():
        stop(f"{root} is no userland; benchmarks/arm64/roots.sh {roots} builds it")
    (root / "proc/cpuinfo").write_text(board.cpuinfo())
    path = f"{site}:{root / 'opt/site'}" if site else root / "opt/site"
    command: list[str | Path] = ["setarch", "-R", "qemu-aarch64", "-L", root, "-cpu", board.cpu]
    command += ["-plugin", root.parent / "insn.so"] if counting else []
    command += ["-E", f"PYTHONPATH={path}", root / "usr/bin/python3"]
    # an empty environment and fixed addresses make counts repeat
    environment = {"PATH": os.environ["PATH"], "HOME": "/", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0"}
    return command, environment | {"PYTHONDONTWRITEBYTECODE": "1", "OPENBLAS_NUM_THREADS": "1"}


def read_marks(text: str) -> list[int]:
    """What the plugin wrote: the instructions of the thread up to each mark."""
    return [int(count) for count in re.findall(r"^MARK thread=(\d+)", text, re.MULTILINE)]


def versions(roots: Path, userland: str) -> dict[str, str]:
    """Of what counts depend on: QEMU here, and the libraries of a userland."""
    shown = subprocess.run(["qemu-aarch64", "--version"], check=True, capture_output=True, text=True)  # noqa: S607
    emulator = shown.stdout.splitlines()[0].removeprefix("qemu-aarch64 version ")
    found = {each.name: each.version for each in distributions(path=[str(roots / userland / "opt/site")])}
    return {"QEMU": emulator} | {label: found[name] for label, name in LIBRARIES.items()}
