"""Runs compiled model files on a Coral Edge TPU, explicitly or not at all.

Before the library is loaded into this process a subprocess loads it, opens the device and makes one inference, since
builds of the library that are older than the TFLite runtime end with a segmentation fault. No device has tried this.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from fkp_edge.core.subprocesses import Ended, run_program
from fkp_edge.errors import AcceleratorError, FkpEdgeError, MissingPartError, ModelFileError
from fkp_edge.model.edgetpu_probe import LIBRARY, MARK, Step
from fkp_edge.model.file import ModelFile
from fkp_edge.model.runtimes import TfliteRuntime

__all__ = [
    "CUSTOM_OPERATOR",
    "Accelerator",
    "Device",
    "Probe",
    "check_made_for",
    "diagnose",
    "find_devices",
    "made_for",
    "open_edgetpu",
    "read_probe",
]

Accelerator = Literal["cpu", "edgetpu"]
CUSTOM_OPERATOR = "edgetpu-custom-op"
"""The operator that the compiler puts in the place of all that it mapped."""
SOFTWARE = "https://coral.ai/software/"
USB_IDS = {("1a6e", "089a"), ("18d1", "9302")}
"""Vendor and product of the USB Accelerator, before and after its firmware was loaded."""
PROBE_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Device:
    """An Edge TPU that the system sees."""

    node: Path
    """/dev/bus/usb/BUS/DEVICE, or /dev/apex_N on PCIe."""
    may_open: bool
    """By this user."""


@dataclass(frozen=True)
class Probe:
    """How far the probe came."""

    step: Step
    """The last one that it began; `done` where all went well."""
    error: str
    """Python's exception there, as `ValueError: ...`; empty without."""
    ended: Ended


def made_for(file: ModelFile) -> Accelerator:
    """What can run `file`: a compiled one only the Edge TPU, any other only the CPU."""
    return "edgetpu" if CUSTOM_OPERATOR.encode() in file.flatbuffer else "cpu"  # a text that no weights spell


def check_made_for(file: ModelFile, accelerator: Accelerator) -> None:
    """Refuses a compiled file on the CPU and any other on the Edge TPU.

    Raises:
        ModelFileError: with the remedy.
    """
    compiled = made_for(file) == "edgetpu"
    if compiled and accelerator == "cpu":
        raise ModelFileError(
            f"{file.path} is compiled for the Edge TPU and cannot run without; add --accelerator edgetpu"
        )
    if not compiled and accelerator == "edgetpu":
        raise ModelFileError(
            f"{file.path} is not compiled for the Edge TPU (it has no {CUSTOM_OPERATOR}); compile it with fkp-edge "
            "convert --edgetpu, or leave --accelerator out"
        )


def open_edgetpu(file: ModelFile, runtime: TfliteRuntime, *, timeout_s: float = PROBE_TIMEOUT_S) -> Any:
    """The delegate that runs `file` on the Edge TPU, after a probe.

    Raises:
        MissingPartError: the library is not installed, or cannot be loaded.
        AcceleratorError: the device is absent, may not be opened, or does not work with library or runtime.
    """
    command = [sys.executable, "-P", "-m", "fkp_edge.model.edgetpu_probe"]  # -P: no module from the working folder
    paths = [str(Path(__file__).resolve().parents[2]), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))}
    probe = read_probe(run_program(command, timeout_s=timeout_s, given=file.flatbuffer, environment=environment))
    if problem := diagnose(probe, find_devices(), runtime=str(runtime), timeout_s=timeout_s):
        raise problem
    try:
        return runtime.load_delegate(LIBRARY)
    except (OSError, ValueError, RuntimeError) as error:
        raise AcceleratorError(
            f"the Edge TPU answered a probe, then did not open ({_one_line(error)}); unplug it, plug it in, try again"
        ) from error


def find_devices(root: Path = Path("/")) -> list[Device]:
    """The Edge TPUs that Linux lists below `root`."""
    nodes = sorted((root / "dev").glob("apex_*"))
    for entry in sorted((root / "sys/bus/usb/devices").glob("*")):
        try:
            vendor, product, bus, number = (
                (entry / name).read_text(encoding="ascii").strip()
                for name in ("idVendor", "idProduct", "busnum", "devnum")
            )
        except (OSError, ValueError):  # an interface, or a device that is just going away
            continue
        if (vendor, product) in USB_IDS:
            nodes.append(root / f"dev/bus/usb/{int(bus):03}/{int(number):03}")
    return [Device(node, os.access(node, os.R_OK | os.W_OK)) for node in nodes]


def read_probe(ended: Ended) -> Probe:
    """What the probe's output says."""
    step: Step = "start"
    error = ""
    for line in ended.output.splitlines():
        if line.startswith(MARK):
            said = json.loads(line.removeprefix(MARK))
            step, error = said["step"], said["error"]
    return Probe(step, error, ended)


def diagnose(probe: Probe, devices: Sequence[Device], *, runtime: str, timeout_s: float) -> FkpEdgeError | None:
    """The error that a probe amounts to, with its remedy; None where the Edge TPU works."""
    doing = _DOING[probe.step]
    if probe.step == "done":
        return None
    if probe.ended.signal:
        return AcceleratorError(
            f"{LIBRARY} crashed ({probe.ended.signal}) while {doing} with {runtime}: builds older than the runtime do; "
            f"install one made for {runtime}"
        )
    if probe.ended.code is None:
        return AcceleratorError(
            f"the Edge TPU was not done {doing} in {timeout_s:g} s; unplug it, plug it in, or try another cable or port"
        )
    if probe.step == "start":
        said = probe.error or (probe.ended.output.strip().splitlines() or [f"exit code {probe.ended.code}"])[-1]
        return AcceleratorError(f"the probe of the Edge TPU did not start ({said}); install fkp-edge again")
    if probe.step == "library":
        return _library_problem(probe.error)
    if probe.step == "device":
        return _device_problem(probe.error, devices)
    return _model_problem(probe, runtime)


_DOING: dict[Step, str] = {
    "start": "starting",
    "library": "loading",
    "device": "opening the device",
    "model": "loading the model",
    "inference": "making an inference",
    "done": "",
}


def _library_problem(error: str) -> MissingPartError:
    if f"{LIBRARY}: cannot open shared object file" in error:
        return MissingPartError(
            f"{LIBRARY} is not installed; it drives the Edge TPU: install libedgetpu1-std as {SOFTWARE} says, or run "
            "the int8 file without --accelerator"
        )
    return MissingPartError(
        f"{LIBRARY} cannot be loaded ({error}); install the build of libedgetpu1-std for {platform.machine()} and what "
        "it needs"
    )


def _device_problem(error: str, devices: Sequence[Device]) -> AcceleratorError:
    if not devices:
        return AcceleratorError(
            "no Edge TPU is attached: neither a USB Accelerator (lsusb: 1a6e:089a or 18d1:9302) nor /dev/apex_0; plug "
            "it in, or run the int8 file without --accelerator"
        )
    usable = [device for device in devices if device.may_open]
    node = (usable or devices)[0].node
    if not usable:
        group = "apex" if node.name.startswith("apex") else "plugdev"
        return AcceleratorError(
            f"this user may not open the Edge TPU at {node}; sudo usermod -aG {group} $USER, log in again and plug it "
            "in again (the udev rule comes with libedgetpu1-std)"
        )
    return AcceleratorError(
        f"the Edge TPU at {node} cannot be opened ({error}); stop the program that uses it, or plug it in again"
    )


def _model_problem(probe: Probe, runtime: str) -> AcceleratorError:
    error = probe.error
    if "requires runtime version" in error:
        return AcceleratorError(
            f"the model was compiled for a newer Edge TPU runtime than this {LIBRARY} ({error}); install a newer "
            "libedgetpu1-std, or compile it with edgetpu_compiler --min_runtime_version"
        )
    if "custom op" in error:
        return AcceleratorError(
            f"{LIBRARY} does not work with {runtime} ({error}); install a libedgetpu made for {runtime}"
        )
    return AcceleratorError(
        f"the Edge TPU failed while {_DOING[probe.step]} ({error}); unplug it, plug it in, and compile the model again "
        "if that does not help"
    )


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
