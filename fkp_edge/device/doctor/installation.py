"""Checks of what is installed: Python, system, wheels, environment, NumPy, OpenCV, TFLite runtime."""

from __future__ import annotations

import re

from fkp_edge.device.doctor.machine import Finding, Machine, fails, fine, warns

__all__ = [
    "check_environment",
    "check_numpy",
    "check_opencv",
    "check_python",
    "check_runtime",
    "check_system",
    "check_wheels",
]

OLDEST_PYTHON = (3, 11)
WHEELS = ((3, 11), (3, 14))
"""First and last Python that LiteRT 2.3.0 has wheels for, on aarch64 and x86-64."""
OLDEST_GLIBC = (2, 27)
"""That those wheels run with."""
PACKAGES = "usr/lib/python3/dist-packages"
"""Where apt puts Python packages."""
ONLY_32_BIT = tuple(f"Raspberry Pi {name}" for name in ("Model", "Zero Rev", "Zero W Rev", "Compute Module Rev"))
"""Boards whose processor has no 64-bit mode: the first Pi and the first Zero."""
IMAGER = "write the 64-bit Raspberry Pi OS (bookworm or trixie) to the card with Raspberry Pi Imager"


def check_python(machine: Machine) -> Finding:
    """3.11, that of Raspberry Pi OS bookworm, or later."""
    version = ".".join(map(str, machine.python))
    if machine.python < OLDEST_PYTHON:
        fix = IMAGER if machine.is_pi else "install Python 3.11 or later, then make run PYTHON=python3.11"
        return fails(f"{version}, fkp-edge needs 3.11 or later", fix)
    return fine(version)


def check_system(machine: Machine) -> Finding:
    """64 bits, on Arm or x86."""
    board = machine.model_name
    pretty = re.search(r'^PRETTY_NAME="?([^"\n]+)', machine.text("etc/os-release"), re.M)
    named = pretty[1] if pretty else "Linux"
    on = f" on {board}" if board else ""
    if machine.architecture == "armv6l" or board.startswith(ONLY_32_BIT):
        return fails(
            f"the processor of {board or machine.architecture} is 32-bit, and LiteRT has no wheel for it",
            "use a Raspberry Pi Zero 2 W, 3, 4 or 5 with the 64-bit Raspberry Pi OS",
        )
    if not machine.is_64_bit or machine.architecture.startswith("armv7"):
        kernel = " under a 64-bit kernel" if machine.architecture == "aarch64" else ""
        return fails(f"{named} is 32-bit{kernel}{on}, and LiteRT has no wheel for armv7", IMAGER)
    if machine.architecture not in ("aarch64", "x86_64"):
        return fails(f"{machine.architecture}, and LiteRT has wheels for aarch64 and x86_64 only", "use one of those")
    return fine(f"{named}, {machine.architecture}{on}")


def check_wheels(machine: Machine) -> Finding:
    """Whether pip finds a LiteRT for this Python and C library."""
    found = machine.probe("runtime").facts
    if found:
        return fine(f"{found['name']} {found['version']} is installed, nothing is missing")
    first, last = WHEELS
    if not first <= machine.python <= last:
        version = ".".join(map(str, machine.python))
        return fails(f"LiteRT 2.3.0 has no wheel for Python {version}", "use Raspberry Pi OS's own Python")
    glibc = re.fullmatch(r"glibc (\d+)\.(\d+)", machine.libc)
    if not glibc or (int(glibc[1]), int(glibc[2])) < OLDEST_GLIBC:
        return fails(
            f"LiteRT's wheels need glibc 2.27 or later, this is {machine.libc or 'another C library'}",
            IMAGER if machine.is_pi else "use Debian 12 or later, or another system with glibc",
        )
    return fine("LiteRT has one for this Python and system")


def check_environment(machine: Machine) -> Finding:
    """Whether the environment sees apt's picamera2, where that is installed."""
    has_picamera2 = _in_system(machine, "picamera2")
    if not machine.in_environment:
        return fine("the system's Python, which sees apt's packages") if has_picamera2 else fine("the system's Python")
    settings = dict(re.findall(r"^\s*([\w-]+)\s*=\s*(.*?)\s*$", machine.text(f"{_below(machine)}/pyvenv.cfg"), re.M))
    if not has_picamera2:
        return fine(f"{machine.prefix}; apt's picamera2 is not installed, so it need not see the system's packages")
    if settings.get("include-system-site-packages", "").lower() != "true":
        return fails(f"{machine.prefix} does not see apt's picamera2", machine.remake)
    if settings.get("home") not in ("/usr/bin", "/bin"):
        home = settings.get("home", "another place")
        found = f"{machine.prefix} is of the Python in {home}, and apt's picamera2 is for /usr/bin/python3"
        return fails(found, machine.remake)
    return fine(f"{machine.prefix} sees the system's packages")


def check_numpy(machine: Machine) -> Finding:
    """NumPy loads, and is of the generation that apt's compiled packages were built for."""
    said = machine.probe("numpy")
    system = _system_numpy(machine)
    suits = "'numpy<2'" if system == 1 and _in_system(machine, "picamera2") else "numpy"
    if said.error:
        return fails(f"it does not load: {said.error}", machine.install(f"--force-reinstall {suits}"))
    version = said.facts["version"]
    needs = [name for name in ("picamera2", "simplejpeg") if _in_system(machine, name)]
    if needs and system == 1 and int(version.split(".")[0]) >= 2:
        return fails(f"{version}, but apt's {' and '.join(needs)} are built for NumPy 1", machine.install("'numpy<2'"))
    return fine(f"{version}, as apt's {' and '.join(needs)} need it" if needs else version)


def check_opencv(machine: Machine) -> Finding:
    """OpenCV 4 with its cascade of frontal faces."""
    install = machine.install("'opencv-python-headless>=4.10,<5'")
    said = machine.probe("opencv")
    if said.error:
        return fails(f"it does not load: {said.error}", f"{install}")
    version = said.facts["version"]
    if int(version.split(".")[0]) >= 5:
        return fails(f"{version} has no CascadeClassifier, which finds faces", install)
    if not said.facts["cascade"]:
        problem = said.facts.get("problem", "no cascade of frontal faces").partition("; ")[0]
        return fails(f"{version}: {problem}", f"{install}, or sudo apt install opencv-data")
    return fine(f"{version}, cascade in {said.facts['cascade'].rpartition('/')[0]}")


def check_runtime(machine: Machine) -> Finding:
    """LiteRT or tflite-runtime runs the shipped network, with XNNPACK."""
    said = machine.probe("runtime")
    if said.error:
        error, _, fix = said.error.partition("; ")
        return fails(f"it does not run the network: {error}", fix or machine.install("--upgrade ai-edge-litert"))
    named = f"{said.facts['name']} {said.facts['version']}"
    if "XNNPACK delegate" not in said.output:
        return warns(f"{named} runs without XNNPACK, its fast kernels", machine.install("-U ai-edge-litert"))
    return fine(f"{named} with XNNPACK")


def _in_system(machine: Machine, package: str) -> bool:
    return (machine.root / PACKAGES / package).is_dir()


def _system_numpy(machine: Machine) -> int | None:
    """The generation of apt's NumPy: 1 on bookworm, 2 on trixie; None without."""
    for path in (machine.root / PACKAGES).glob("numpy-*-info"):
        if match := re.match(r"numpy-(\d+)\.", path.name):
            return int(match[1])
    return None


def _below(machine: Machine) -> str:
    return str(machine.prefix).lstrip("/")
