"""The Edge TPU at run time, with a stub in place of its library: no real device has been tried."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fkp_edge.cli.main import main
from fkp_edge.core.geometry import crop_from_box
from fkp_edge.core.keypoints import FKP15
from fkp_edge.core.subprocesses import Ended
from fkp_edge.errors import AcceleratorError, FkpEdgeError, MissingPartError, ModelFileError
from fkp_edge.model.edgetpu import (
    Device,
    Probe,
    check_made_for,
    diagnose,
    find_devices,
    made_for,
    open_edgetpu,
    read_probe,
)
from fkp_edge.model.edgetpu_probe import MARK
from fkp_edge.model.file import GoldenCase, ModelFile, read_model_file, write_model_file
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.runtimes import find_runtime
from fkp_edge.model.shipped import shipped_model

SHIPPED = shipped_model()
PORTRAIT = Path(__file__).resolve().parents[2] / "fkp_edge/data/eileen_collins.jpg"
USB = Device(Path("/dev/bus/usb/002/004"), may_open=True)
FORBIDDEN = Device(Path("/dev/bus/usb/001/003"), may_open=False)


def probe(step: str, error: str = "", *, code: int | None = 1, output: str = "") -> Probe:
    return Probe(step, error, Ended(code, output))  # type: ignore[arg-type]


def problem(given: Probe, *devices: Device) -> FkpEdgeError:
    found = diagnose(given, devices, runtime="LiteRT 2.3.0", timeout_s=30)
    assert found is not None
    return found


# which file fits


def test_a_compiled_file_on_the_cpu(compiled_tflite: bytes):
    with pytest.raises(ModelFileError) as caught:
        KeypointModel(ModelFile(Path("c.tflite"), compiled_tflite, None))
    assert str(caught.value) == (
        "c.tflite is compiled for the Edge TPU and cannot run without; add --accelerator edgetpu"
    )


def test_another_file_on_the_edge_tpu():
    with pytest.raises(ModelFileError) as caught:
        open_model(SHIPPED, accelerator="edgetpu")
    assert str(caught.value) == (
        f"{SHIPPED} is not compiled for the Edge TPU (it has no edgetpu-custom-op); compile it with fkp-edge convert "
        "--edgetpu, or leave --accelerator out"
    )


def test_files_on_what_they_were_made_for(compiled_tflite: bytes):
    check_made_for(ModelFile(Path(), compiled_tflite, None), "edgetpu")
    check_made_for(read_model_file(SHIPPED), "cpu")
    assert made_for(ModelFile(Path(), compiled_tflite, None)) == "edgetpu"
    assert made_for(read_model_file(SHIPPED)) == "cpu"


# what a probe tells


def test_a_probe_that_went_well_tells_of_no_problem():
    assert diagnose(probe("done", code=0), [], runtime="LiteRT 2.3.0", timeout_s=30) is None


def test_the_last_step_of_a_probe_counts_and_other_lines_do_not():
    lines = ["INFO: hello", MARK + json.dumps({"step": "library", "error": ""}), "F driver: lost"]
    lines += [MARK + json.dumps({"step": "device", "error": "ValueError: no"}), "bye"]
    found = read_probe(Ended(1, "\n".join(lines)))
    assert (found.step, found.error) == ("device", "ValueError: no")


def test_a_missing_library():
    error = "OSError: libedgetpu.so.1: cannot open shared object file: No such file or directory"
    found = problem(probe("library", error), USB)
    assert isinstance(found, MissingPartError)
    assert str(found) == (
        "libedgetpu.so.1 is not installed; it drives the Edge TPU: install libedgetpu1-std as "
        "https://coral.ai/software/ says, or run the int8 file without --accelerator"
    )


@pytest.mark.parametrize(
    "error",
    [
        "OSError: /usr/lib/libedgetpu.so.1: wrong ELF class: ELFCLASS32",
        "OSError: libusb-1.0.so.0: cannot open shared object file: No such file or directory",
    ],
)
def test_a_library_that_cannot_be_loaded(error: str):
    found = problem(probe("library", error), USB)
    assert str(found).startswith(
        f"libedgetpu.so.1 cannot be loaded ({error}); install the build of libedgetpu1-std for "
    )


def test_no_device():
    found = problem(probe("device", "ValueError: Failed to load delegate from libedgetpu.so.1"))
    assert isinstance(found, AcceleratorError)
    assert str(found).startswith("no Edge TPU is attached: neither a USB Accelerator (lsusb: 1a6e:089a or 18d1:9302) ")


def test_a_device_that_may_not_be_opened():
    assert str(problem(probe("device", "ValueError: ..."), FORBIDDEN)) == (
        "this user may not open the Edge TPU at /dev/bus/usb/001/003; sudo usermod -aG plugdev $USER, log in again and "
        "plug it in again (the udev rule comes with libedgetpu1-std)"
    )


def test_a_pcie_device_that_may_not_be_opened():
    assert "usermod -aG apex $USER" in str(problem(probe("device"), Device(Path("/dev/apex_0"), may_open=False)))


def test_a_device_in_use():
    assert str(problem(probe("device", "ValueError: x"), FORBIDDEN, USB)) == (
        "the Edge TPU at /dev/bus/usb/002/004 cannot be opened (ValueError: x); stop the program that uses it, or plug "
        "it in again"
    )


@pytest.mark.parametrize(("step", "doing"), [("device", "opening the device"), ("inference", "making an inference")])
def test_a_library_that_crashes(step: str, doing: str):
    assert str(problem(probe(step, code=-11), USB)) == (
        f"libedgetpu.so.1 crashed (SIGSEGV) while {doing} with LiteRT 2.3.0: builds older than the runtime do; install "
        "one made for LiteRT 2.3.0"
    )


def test_a_device_that_hangs():
    assert str(problem(probe("inference", code=None), USB)) == (
        "the Edge TPU was not done making an inference in 30 s; unplug it, plug it in, or try another cable or port"
    )


@pytest.mark.parametrize(
    "error",
    [
        "RuntimeError: Unsupported data type in custom op handler: 0",
        "RuntimeError: Encountered unresolved custom op: edgetpu-custom-op.",
    ],
)
def test_a_library_of_another_runtime(error: str):
    assert str(problem(probe("model", error), USB)) == (
        f"libedgetpu.so.1 does not work with LiteRT 2.3.0 ({error}); install a libedgetpu made for LiteRT 2.3.0"
    )


def test_a_model_of_a_newer_compiler():
    error = "RuntimeError: Package requires runtime version (14), which is newer than this runtime version (13)."
    assert str(problem(probe("model", error), USB)) == (
        f"the model was compiled for a newer Edge TPU runtime than this libedgetpu.so.1 ({error}); install a newer "
        "libedgetpu1-std, or compile it with edgetpu_compiler --min_runtime_version"
    )


def test_any_other_failure_of_the_model():
    found = str(problem(probe("inference", "RuntimeError: Internal: x"), USB))
    assert found.startswith("the Edge TPU failed while making an inference (RuntimeError: Internal: x); unplug it, ")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (probe("start", output="Traceback\nModuleNotFoundError: no numpy\n"), "ModuleNotFoundError: no numpy"),
        (probe("start", "ImportError: x"), "ImportError: x"),
        (probe("start", code=127), "exit code 127"),
    ],
)
def test_a_probe_that_does_not_start(given: Probe, said: str):
    assert str(problem(given)) == f"the probe of the Edge TPU did not start ({said}); install fkp-edge again"


# devices


def usb_entry(root: Path, name: str, **files: str) -> None:
    folder = root / "sys/bus/usb/devices" / name
    folder.mkdir(parents=True)
    for file, text in files.items():
        (folder / file).write_text(f"{text}\n")


def test_usb_devices_are_found_by_vendor_and_product(tmp_path: Path):
    usb_entry(tmp_path, "1-1", idVendor="046d", idProduct="c077", busnum="1", devnum="5")
    usb_entry(tmp_path, "1-1:1.0", bInterfaceClass="03")
    usb_entry(tmp_path, "2-1", idVendor="18d1", idProduct="9302", busnum="2", devnum="4")
    usb_entry(tmp_path, "2-2", idVendor="1a6e", idProduct="089a", busnum="2", devnum="12")
    node = tmp_path / "dev/bus/usb/002/004"
    node.parent.mkdir(parents=True)
    node.touch()
    assert find_devices(tmp_path) == [Device(node, True), Device(node.with_name("012"), False)]


def test_pcie_devices_are_found(tmp_path: Path):
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/apex_0").touch()
    assert find_devices(tmp_path) == [Device(tmp_path / "dev/apex_0", True)]


def test_a_system_without_usb_has_none(tmp_path: Path):
    assert find_devices(tmp_path) == []


# with a stub of the library


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a libedgetpu.so.1 that is a stub."""
    if not (compiler := shutil.which("gcc") or shutil.which("cc")):
        pytest.skip("no C compiler to build the stub of libedgetpu.so.1 with")
    folder = tmp_path_factory.mktemp("lib")
    source = Path(__file__).with_name("edgetpu_stub.c")
    subprocess.run([compiler, "-O1", "-shared", "-fPIC", "-o", folder / "libedgetpu.so.1", source], check=True)
    return folder


@pytest.fixture
def probed(library: Path, compiled_tflite: bytes, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The error that opening gives while the stub behaves as told."""

    def run(behaviour: str, *, timeout_s: float = 30) -> str:
        monkeypatch.setenv("LD_LIBRARY_PATH", str(library))
        monkeypatch.setenv("STUB_EDGETPU", behaviour)
        with pytest.raises(AcceleratorError) as caught:
            open_edgetpu(ModelFile(Path(), compiled_tflite, None), find_runtime(), timeout_s=timeout_s)
        return str(caught.value)

    return run


@pytest.mark.parametrize(
    ("behaviour", "complaint"),
    [
        ("crash", "libedgetpu.so.1 crashed (SIGSEGV) while opening the device with "),
        ("crash-inference", "libedgetpu.so.1 crashed (SIGABRT) while making an inference with "),
        ("refuse", "libedgetpu.so.1 does not work with "),
        ("mismatch", "libedgetpu.so.1 does not work with "),
        ("newer", "the model was compiled for a newer Edge TPU runtime than this libedgetpu.so.1 ("),
    ],
)
def test_a_library_that_misbehaves_is_found_out_in_a_subprocess(probed, behaviour: str, complaint: str):
    assert probed(behaviour).startswith(complaint)


def test_a_library_without_a_device(probed):
    assert "Edge TPU" in probed("absent")
    if not find_devices():
        assert probed("absent").startswith("no Edge TPU is attached: ")


def test_a_library_that_hangs(probed):
    assert probed("hang", timeout_s=8).startswith("the Edge TPU was not done opening the device in 8 s; ")


@pytest.fixture
def compiled_file(compiled_tflite: bytes, card_for, tmp_path: Path) -> Path:
    """A compiled model file whose golden case is what the stub gives: zeros."""
    frame, box = np.zeros((96, 96), np.uint8), (0.0, 0.0, 96.0, 96.0)
    points = crop_from_box(box).to_frame(FKP15.mean_shape)
    case = GoldenCase(frame, box, frame, np.zeros(30, np.int8), np.zeros(1, np.int8), points)
    path = tmp_path / "compiled.tflite"
    write_model_file(path, compiled_tflite, card_for(compiled_tflite, precision="int8"), (case,))
    return path


def verify_there(path: Path, library: Path, behaviour: str, *options: str) -> subprocess.CompletedProcess[str]:
    """`fkp-edge verify` in a process that finds the stub."""
    environment = os.environ | {"LD_LIBRARY_PATH": str(library), "STUB_EDGETPU": behaviour}
    command = [sys.executable, "-m", "fkp_edge", "verify", path, *options]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_verify_runs_a_compiled_file_through_the_library(library: Path, compiled_file: Path):
    done = verify_there(compiled_file, library, "works", "--accelerator", "edgetpu")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("compiled.tflite: 1 golden cases on LiteRT ")
    assert ", Edge TPU\n" in done.stdout
    assert done.stdout.endswith("reproduces the desktop within 0.000 px\n")


def test_verify_says_where_the_edge_tpu_differs(library: Path, compiled_file: Path):
    done = verify_there(compiled_file, library, "noise", "--accelerator", "edgetpu")
    assert (done.returncode, done.stderr) == (1, "")
    assert "differs from the desktop: keypoints by 100 output steps, expected at most 32, in case 1 of 1" in done.stdout


def test_a_compiled_file_never_runs_on_the_cpu_instead(library: Path, compiled_file: Path):
    done = verify_there(compiled_file, library, "works")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.endswith("cannot run without; add --accelerator edgetpu\n")


@pytest.fixture
def sure_file(make_tflite, tmp_path: Path) -> Path:
    """A compiled file without a card that, where the stub gives `noise`, sees a mean face with a score of 1."""
    tensors = [
        {"shape": (1, 96, 96, 1), "type": "UINT8", "scale": 1.0},
        {"shape": (1, 30), "scale": 1e-6},
        {"shape": (1, 1), "scale": 0.01},
    ]
    operator = {"name": "edgetpu-custom-op", "inputs": [0], "outputs": [1, 2]}
    path = tmp_path / "sure_edgetpu.tflite"
    path.write_bytes(make_tflite(tensors, [operator], [1, 2]))
    return path


def test_bench_measures_a_compiled_file_beside_its_float_baseline(library: Path, sure_file: Path):
    environment = os.environ | {"LD_LIBRARY_PATH": str(library), "STUB_EDGETPU": "noise"}
    command = [sys.executable, "-m", "fkp_edge", "bench", sure_file, "keypoints-float32", "--accelerator", "edgetpu"]
    command += ["--no-card", "--quick", "--seconds", "1", "--threads", "2", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    compiled, plain = json.loads(done.stdout)["models"]
    assert (compiled["accelerator"], list(compiled["network"])) == ("edgetpu", ["1"])
    assert (plain["accelerator"], list(plain["network"])) == ("cpu", ["1", "2"])
    assert compiled["start"][0]["first_keypoints_s"]


# the commands


@pytest.mark.parametrize(
    "argv",
    [
        ["run", "--source", "demo", "--model"],
        ["predict", str(PORTRAIT), "--model"],
        ["verify"],
        ["eval", "--data", str(SHIPPED.parent)],
    ],
    ids=lambda argv: argv[0],
)
def test_every_command_that_runs_a_network_takes_the_accelerator(capsys, compiled_file: Path, argv: list[str]):
    at = 1 if argv[0] == "eval" else len(argv)
    given = [*argv[:at], str(compiled_file), *argv[at:]]
    assert main(given) == 2
    assert capsys.readouterr().err.endswith("add --accelerator edgetpu\n")
    given[given.index(str(compiled_file))] = str(SHIPPED)
    assert main([*given, "--accelerator", "edgetpu"]) == 2
    assert "is not compiled for the Edge TPU" in capsys.readouterr().err
