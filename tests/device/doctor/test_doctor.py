"""What the doctor finds on good and on broken machines; see conftest.py for where they come from."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from fkp_edge.cli.doctor import format_findings
from fkp_edge.cli.main import main
from fkp_edge.core.subprocesses import Ended
from fkp_edge.device.doctor import CHECKS, Machine, examine

PICAMERA_WITHOUT = {"--print-config": Ended(0, 'source = "picamera"\n')}
BOARDS = ["Pi 3", "Pi Zero 2", "Pi 4", "Pi 5", "desktop"]
PIP = "/home/pi/fkp-edge/.venv/bin/pip"
TCP = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
LISTENS = TCP + "   0: 0100007F:223D 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1\n"


CORAL = {
    f"sys/bus/usb/devices/2-1/{name}": text
    for name, text in {"idVendor": "1a6e", "idProduct": "089a", "busnum": "2", "devnum": "4"}.items()
}


# whole machines


@pytest.mark.parametrize("name", BOARDS)
def test_on_a_good_machine_nothing_fails(machine, name: str):
    findings = examine(machine(name))
    assert [(name, f.text) for name, f in findings.items() if f.status in ("failed", "warning")] == []


def test_every_finding_is_one_numbered_line(machine):
    lines = format_findings(examine(machine())).splitlines()
    assert [line.split()[0] for line in lines] == [*map(str, range(1, len(CHECKS) + 1)), str(len(CHECKS))]


def test_a_desktop_says_what_does_not_apply(machine):
    findings = examine(machine("desktop"))
    absent = {name for name, finding in findings.items() if finding.status == "none"}
    assert absent >= {"camera", "camera in use", "power", "throttling", "Coral", "service", "display"}
    assert findings["Coral"].text == "no Coral: nothing to check"


@pytest.mark.parametrize("name", BOARDS)
def test_on_a_machine_where_nothing_is_installed_each_failure_has_a_fix(machine, name: str):
    broken = machine(
        name,
        {},
        {"fkp_edge": Ended(1, "No module named 'numpy'")}
        | dict.fromkeys(
            [f"library_probe {library}" for library in ("numpy", "opencv", "runtime", "picamera2")], Ended(1, "")
        )
        | {"--print-config": Ended(1, "no"), "fkp_edge verify": Ended(1, "no")},
    )
    failed = {name: f for name, f in examine(broken).items() if f.status == "failed"}
    assert set(failed) >= {"NumPy", "OpenCV", "TFLite runtime", "configuration", "model"}
    assert all(finding.fix for finding in failed.values())


# installation


def test_an_old_python(found):
    assert found("Python", python=(3, 9)) == (
        "failed: 3.9, fkp-edge needs 3.11 or later; fix: write the 64-bit Raspberry Pi OS (bookworm or trixie) to the "
        "card with Raspberry Pi Imager"
    )


@pytest.mark.parametrize("architecture", ["armv7l", "aarch64"])
def test_a_32_bit_system(found, architecture: str):
    text = found("system", "Pi 3", architecture=architecture, is_64_bit=False)
    assert "is 32-bit" in text
    assert "LiteRT has no wheel for armv7; fix: write the 64-bit Raspberry Pi OS" in text


def test_an_architecture_without_wheels(found):
    assert found("system", "desktop", architecture="riscv64").startswith("failed: riscv64, and LiteRT has wheels for")


def test_a_board_that_knows_32_bits_only(found):
    tree = {"proc/device-tree/model": "Raspberry Pi Zero W Rev 1.1\0"}
    text = found("system", "Pi 3", tree, architecture="armv6l", is_64_bit=False)
    assert text.startswith("failed: the processor of Raspberry Pi Zero W Rev 1.1 is 32-bit")
    assert "use a Raspberry Pi Zero 2 W, 3, 4 or 5" in text


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({}, "ok: LiteRT has one for this Python and system"),
        ({"python": (3, 15)}, "failed: LiteRT 2.3.0 has no wheel for Python 3.15"),
        ({"libc": ""}, "failed: LiteRT's wheels need glibc 2.27 or later, this is another C library"),
        ({"libc": "glibc 2.24"}, "failed: LiteRT's wheels need glibc 2.27 or later, this is glibc 2.24"),
    ],
)
def test_wheels_where_no_runtime_is_installed(found, says, facts, text: str):
    answers = {"library_probe runtime": says(error="MissingPartError: no TFLite runtime")}
    assert found("wheels", "Pi 4", {}, answers, **facts).startswith(text)


def test_an_environment_that_hides_picamera2(found):
    tree = {"home/pi/fkp-edge/.venv/pyvenv.cfg": "home = /usr/bin\ninclude-system-site-packages = false\n"}
    assert found("environment", "Pi 4", tree) == (
        "failed: /home/pi/fkp-edge/.venv does not see apt's picamera2; fix: rm -r /home/pi/fkp-edge/.venv; "
        "/usr/bin/python3 -m venv --system-site-packages /home/pi/fkp-edge/.venv, then install again"
    )


def test_an_environment_of_another_python(found):
    tree = {"home/pi/fkp-edge/.venv/pyvenv.cfg": "home = /opt/python\ninclude-system-site-packages = true\n"}
    assert "is of the Python in /opt/python" in found("environment", "Pi 4", tree)


SERVICE = {"prefix": Path("/opt/fkp-edge"), "in_environment": True}


@pytest.mark.parametrize(
    ("check", "files", "answers", "fix"),
    [
        (
            "environment",
            {"opt/fkp-edge/pyvenv.cfg": "include-system-site-packages = false\n"},
            {},
            "sudo rm -r /opt/fkp-edge; sudo device/install.sh, in a clone",
        ),
        (
            "NumPy",
            {},
            {"library_probe numpy": Ended(-4, "")},
            "sudo /opt/fkp-edge/bin/pip install --force-reinstall numpy",
        ),
        ("camera", {}, PICAMERA_WITHOUT, "sudo apt install python3-picamera2, then sudo systemctl restart fkp-edge"),
    ],
)
def test_the_services_environment_is_mended_as_root(found, check: str, files, answers, fix: str):
    name = "desktop" if check == "camera" else "Pi 5"  # the desktop has no picamera2
    assert found(check, name, files, answers, **SERVICE).endswith(f"; fix: {fix}")


def test_numpy_2_beside_what_apt_built_for_numpy_1(found, says):
    answers = {"library_probe numpy": says(version="2.3.1", file="/x")}
    assert found("NumPy", "Pi 4", {}, answers) == (
        f"failed: 2.3.1, but apt's picamera2 and simplejpeg are built for NumPy 1; fix: {PIP} install 'numpy<2'"
    )
    assert found("NumPy", "desktop", {}, answers) == "ok: 2.3.1"


def test_a_library_that_crashes(found):
    answers = {"library_probe numpy": Ended(-4, "")}
    assert found("NumPy", "Pi 5", {}, answers) == (
        f"failed: it does not load: it crashed (SIGILL); fix: {PIP} install --force-reinstall numpy"
    )


@pytest.mark.parametrize(
    ("facts", "text"),
    [
        ({"version": "5.0.0", "cascade": None}, "5.0.0 has no CascadeClassifier, which finds faces"),
        ({"version": "4.6.0", "cascade": None, "problem": "it is in none; apt"}, "4.6.0: it is in none"),
        ({"error": "ImportError: libGL.so.1"}, "it does not load: ImportError: libGL.so.1"),
    ],
)
def test_an_opencv_that_finds_no_faces(found, says, facts, text: str):
    told = found("OpenCV", "Pi 4", {}, {"library_probe opencv": says(**facts)})
    assert told.startswith(f"failed: {text}; fix: {PIP} install 'opencv-python-headless>=4.10,<5'")


def test_a_runtime_without_xnnpack(found, says):
    answers = {"library_probe runtime": says(name="tflite-runtime", version="2.14.0")}
    assert found("TFLite runtime", "Pi 4", {}, answers).startswith(
        "warning: tflite-runtime 2.14.0 runs without XNNPACK"
    )


# camera


def test_a_camera_without_picamera2(found, says):
    answers = {"library_probe picamera2": says(error="ModuleNotFoundError: No module named 'picamera2'")}
    assert found("camera", "Pi 4", {}, answers).startswith(
        "failed: a Pi camera is there (unicam-image), and picamera2 is not; fix: sudo apt install python3-picamera2"
    )


def test_a_picamera2_built_for_another_numpy(found, says):
    answers = {"library_probe picamera2": says(error="ValueError: numpy.dtype size changed, may indicate ...")}
    assert found("camera", "Pi 4", {}, answers).endswith(f"; fix: {PIP} install 'numpy<2'")


@pytest.mark.parametrize(("source", "status"), [("auto", "warning"), ("picamera", "failed")])
def test_a_pi_without_a_camera(found, says, source: str, status: str):
    answers = {"library_probe picamera2": says(cameras=[]), "--print-config": Ended(0, f'source = "{source}"\n')}
    text = found("camera", "Pi 5", {"sys/class/video4linux/video0/name": "pispbe-input\n"}, answers)
    assert text.startswith(f"{status}: ")
    assert "rpicam-hello --list-cameras" in text


USB = {
    "sys/class/video4linux/video2/name": "HD Webcam\n",
    "sys/class/video4linux/video2/index": "0\n",
    "sys/class/video4linux/video2/device/driver": "->/bus/usb/drivers/uvcvideo",
}


def test_a_usb_camera(found):
    assert found("camera", "desktop", USB) == "ok: /dev/video2: HD Webcam"


def test_a_v4l2_camera_that_is_not_there(found):
    answers = {"--print-config": Ended(0, 'source = "v4l2:7"\n')}
    assert found("camera", "desktop", USB, answers) == (
        "failed: /dev/video7 does not exist, and the source is v4l2:7; fix: plug it in, or name another: "
        "/dev/video2 (HD Webcam)"
    )


def test_the_services_source_counts(found, says):
    tree = {"etc/systemd/system/fkp-edge.service": "# another --source here\nExecStart=/x run --source picamera\n"}
    answers = {"library_probe picamera2": says(cameras=[])}
    assert found("camera", "Pi 4", tree, answers).startswith("failed: libcamera sees no camera")


@pytest.mark.parametrize(("config", "status"), [("etc/fkp-edge/config.toml", "failed"), ("etc/mine.toml", "warning")])
def test_the_services_source_counts_with_the_services_configuration(machine, says, config: str, status: str):
    unit = "ExecStart=/x run --config /etc/fkp-edge/config.toml --source picamera\n"
    answers = {"library_probe picamera2": says(cameras=[])}
    made = machine("Pi 4", {"etc/systemd/system/fkp-edge.service": unit, config: ""}, answers)
    finding = CHECKS["camera"](replace(made, config=made.root / config))
    assert finding.status == status


def holder(name: str, target: str = "/dev/video0", cmdline: str = "") -> dict[str, str]:
    return {"proc/812/comm": f"{name}\n", "proc/812/cmdline": cmdline, "proc/812/fd/4": f"->{target}"}


def test_who_holds_the_camera(found):
    assert found("camera in use", "Pi 4", holder("motion")) == (
        "failed: motion (812) holds /dev/video0; fix: stop it: kill 812"
    )


def test_root_sees_programs_that_a_user_may_not_end(found):
    assert found("camera in use", "Pi 4", holder("motion"), user="root").endswith("fix: stop it: sudo kill 812")


@pytest.mark.parametrize(
    "files", [holder("fkp-edge"), holder("python3", cmdline="python3\0-m\0fkp_edge\0run")], ids=["script", "module"]
)
def test_another_fkp_edge_may_hold_the_camera(found, files):
    assert found("camera in use", "Pi 4", files).startswith("ok: fkp-edge (812) holds it")


def test_a_listing_desktop_service_does_no_harm(found):
    assert found("camera in use", "Pi 5", holder("wireplumber", "/dev/media0")).startswith("ok: wireplumber (812)")


def test_what_holds_other_files_does_not_count(found):
    assert found("camera in use", "Pi 5", holder("bash", "/dev/null")).startswith("ok: nobody holds a camera")


def test_a_user_who_is_not_in_the_group_video(found):
    assert found("permissions", "Pi 4", {"etc/group": "video:x:44:\n"}, may_open=lambda _: False) == (
        "failed: pi may not open /dev/video0; fix: sudo usermod -aG video pi, then log in again"
    )


def test_a_user_who_joined_the_group_after_logging_in(found):
    assert found("permissions", "Pi 4", may_open=lambda _: False).endswith("fix: log out and in again")


def test_the_service_takes_its_groups_when_it_starts(found):
    files = {"etc/group": "video:x:44:\n"}
    assert found("permissions", "Pi 4", files, may_open=lambda _: False, user="fkp-edge").endswith(
        "fix: sudo usermod -aG video fkp-edge, then sudo systemctl restart fkp-edge"
    )


@pytest.mark.parametrize(
    ("files", "node", "group"),
    [
        ("usb", "/dev/bus/usb/002/004", "plugdev"),
        ({"dev/apex_0": ""}, "/dev/apex_0", "apex"),
    ],
)
def test_a_user_who_may_not_open_a_coral(found, files, node: str, group: str):
    files = CORAL if files == "usb" else files
    assert found("permissions", "desktop", files, may_open=lambda _: False) == (
        f"failed: pi may not open {node}; fix: sudo usermod -aG {group} pi, then log in again"
    )


# condition


@pytest.mark.parametrize(
    ("check", "bits", "text"),
    [
        ("power", "1", "failed: under-voltage now"),
        ("power", "50000", "warning: under-voltage since the system started"),
        ("throttling", "50005", "failed: throttled"),
        ("throttling", "e0000", "warning: the frequency has been capped, throttling has occurred, the soft"),
        ("throttling", "10001", "ok: never slowed down"),
    ],
)
def test_power_and_throttling(found, check: str, bits: str, text: str):
    files = {"sys/devices/platform/soc/soc:firmware/get_throttled": bits}
    assert found(check, "Pi 4", files).startswith(text)


def test_a_firmware_that_may_not_be_asked(found):
    files = {"sys/devices/platform/soc/soc:firmware/get_throttled": ""}
    assert found("power", "Pi 4", files).startswith("warning: vcgencmd does not say it; fix: sudo usermod -aG video pi")


@pytest.mark.parametrize(("temperature", "status"), [("48650", "ok"), ("75000", "warning"), ("84000", "failed")])
def test_temperature(found, temperature: str, status: str):
    assert found("temperature", "Pi 5", {"sys/class/thermal/thermal_zone0/temp": temperature}).startswith(status)


def test_a_governor_that_saves_power(found):
    files = {"sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n"}
    assert "echo ondemand | sudo tee /sys/devices/system/cpu/cpu*/cpufreq" in found("governor", "Pi 4", files)


@pytest.mark.parametrize(("megabytes", "status"), [(20, "failed"), (200, "warning"), (4000, "ok")])
def test_disk(found, megabytes: int, status: str):
    assert found("disk", free_bytes=lambda _: megabytes * 2**20).startswith(status)


def test_a_clock_that_timedatectl_knows(found):
    assert found("clock", "desktop", {}, {"NTPSynchronized": Ended(0, "yes\n")}) == "ok: synchronised"


def test_a_clock_that_is_not_synchronised(found):
    answers = {"NTPSynchronized": Ended(0, "no\n")}
    assert found("clock", "desktop", {}, answers).startswith("warning: not synchronised")


# service


def test_a_configuration_with_an_error(found):
    error = "fkp-edge: error: /etc/x.toml: unknown key 'sorce'; did you mean 'source'?\n"
    assert found("configuration", "Pi 4", {}, {"--print-config": Ended(2, error)}) == (
        "failed: /etc/x.toml: unknown key 'sorce'; fix: did you mean 'source'?"
    )


def test_the_services_configuration_is_read_unless_another_is_named(machine):
    made = machine(files={"etc/fkp-edge/config.toml": ""})
    examine(made)
    assert any(f"run --config {made.root}/etc/fkp-edge/config.toml" in command for command in made.run.commands)


def test_a_port_that_is_taken(found):
    files = {"proc/net/tcp": LISTENS} | holder("nginx", "socket:[12345]")
    assert found("ports", "Pi 4", files) == (
        "failed: port 8765 is taken by nginx (812); fix: stop it, or put another port into stream"
    )


def test_a_port_that_somebody_unseen_took(found):
    assert "a program that sudo ss -ltnp 'sport = :8765' names" in found("ports", "Pi 4", {"proc/net/tcp": LISTENS})


@pytest.mark.parametrize(("uid", "status"), [("1000", "ok"), ("998", "failed")])
def test_a_port_of_the_running_service_as_somebody_who_does_not_see_its_files(found, uid: str, status: str):
    files = {"proc/net/tcp": LISTENS, "etc/passwd": f"pi:x:10:10::/:\nfkp-edge:x:{uid}:{uid}::/var/lib/fkp-edge:/x\n"}
    assert found("ports", "Pi 4", files).startswith(f"{status}: ")


def test_a_port_of_the_running_service(found):
    files = {"proc/net/tcp": LISTENS} | holder("fkp-edge", "socket:[12345]")
    assert found("ports", "Pi 4", files) == "ok: 8765: held by the fkp-edge that runs"


@pytest.mark.parametrize("stream", ["udp://127.0.0.1:9", "tcp://127.0.0.1:0"])
def test_streams_that_hold_no_port(found, stream: str):
    answers = {"--print-config": Ended(0, f'stream = ["{stream}"]\n')}
    assert found("ports", "Pi 4", {}, answers) == "none: nothing listens on a port: nothing to check"


def test_an_address_that_cannot_be_used(found):
    answers = {"--print-config": Ended(0, 'stream = ["tcp://127.0.0.1:99999"]\n')}
    assert found("ports", "Pi 4", {}, answers).startswith("failed: an address cannot be used: Port out of range")


def test_a_model_that_differs(found):
    first = {"stage": "keypoints", "found": 7.0, "unit": "output steps"}
    output = json.dumps({"model": "m.tflite", "sha256": "ab" * 32, "first": first})
    text = found("model", "Pi 4", {}, {"fkp_edge verify": Ended(1, output)})
    assert text.startswith("failed: m.tflite (abababab) differs from the desktop in keypoints: 7 output steps; fix: ")


def test_a_model_that_cannot_be_read(found):
    error = "fkp-edge: error: m.tflite is damaged: its sha256 is ab; copy or convert it again\n"
    assert found("model", "Pi 4", {}, {"fkp_edge verify": Ended(2, error)}) == (
        "failed: m.tflite is damaged: its sha256 is ab; fix: copy or convert it again"
    )


def test_a_coral_without_its_library(found):
    said = 'fkp-edge probe: {"step": "library", "error": "OSError: libedgetpu.so.1: cannot open shared object file"}\n'
    text = found("Coral", "Pi 4", CORAL, {"edgetpu_probe": Ended(1, said)})
    assert text.startswith("failed: libedgetpu.so.1 is not installed; fix: it drives the Edge TPU: install libedgetpu1")


def test_a_coral_that_works(found):
    said = 'fkp-edge probe: {"step": "done", "error": ""}\n'
    files = CORAL | {"dev/bus/usb/002/004": ""}
    assert found("Coral", "Pi 4", files, {"edgetpu_probe": Ended(0, said)}).endswith(" works with LiteRT 2.3.0")


def test_a_coral_without_a_runtime(found, says):
    answers = {"library_probe runtime": says(error="MissingPartError: no TFLite runtime")}
    assert found("Coral", "Pi 4", CORAL, answers) == "none: not checked without a TFLite runtime"


def test_a_model_for_the_edge_tpu_is_verified_on_it(machine):
    made = machine("Pi 4", {}, {"--print-config": Ended(0, 'accelerator = "edgetpu"\n')})
    CHECKS["model"](made)
    assert made.run.commands[-1].endswith("--json --accelerator edgetpu")


@pytest.mark.parametrize(("said", "status"), [("active", "ok"), ("inactive", "warning")])
def test_a_service_that_runs_or_not(found, said: str, status: str):
    files = {"etc/systemd/system/fkp-edge.service": ""}
    assert found("service", "Pi 4", files, {"is-active": Ended(0, f"{said}\n")}).startswith(f"{status}: ")


def test_a_service_that_failed(found):
    files = {"etc/systemd/system/fkp-edge.service": ""}
    assert "journalctl -u fkp-edge.service -n 20" in found(
        "service", "Pi 4", files, {"is-active": Ended(3, "failed\n")}
    )


# the command


def test_this_machine_runs_the_network(capsys: pytest.CaptureFixture[str]):
    code = main(["doctor", "--json"])
    report = json.loads(capsys.readouterr().out)
    status = {check["name"]: check["status"] for check in report["checks"]}
    assert {status[name] for name in ("Python", "NumPy", "OpenCV", "TFLite runtime", "model")} == {"ok"}
    assert code == (1 if report["failed"] else 0)


def test_a_failed_check_is_exit_code_1(capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert main(["doctor", "--config", str(tmp_path / "none.toml")]) == 1
    assert (
        f"cannot read {tmp_path}/none.toml: No such file or directory; fix: expected a TOML" in capsys.readouterr().out
    )


def test_it_starts_with_python_alone():
    code = "import sys; sys.modules.update(dict.fromkeys(['numpy', 'cv2', 'msgspec'])); import fkp_edge.cli.doctor"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_the_default_machine_is_this_one():
    assert Machine().python == sys.version_info[:2]
