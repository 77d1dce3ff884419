"""A USB camera at the service: unplugged, back under another number, stalled, with damaged pictures, in two formats."""

from __future__ import annotations

from .guest import Guest
from .image import HERE
from .installing import SLOW, configure, install, property_of
from .report import Report
from .serving import restarts

__all__ = ["plug", "try_filming", "unplug"]

LINKS = "/dev/v4l/by-id/usb-*-video-index0"
PLUG = "systemd-run -q --collect --unit=usb-camera python3 /root/usb_camera.py /box/pictures"
TRACKS = "until fkp-edge status | tee /tmp/status | grep 'tracking, 1 face'; do sleep 0.2; done; tail -n 1 /tmp/status"
LOST = "until fkp-edge status | grep no_camera; do sleep 0.2; done"
FAULTS = ("stall", "short", "corrupt", "noise")
FAULT_S = 8
MAX_RECOVERY_S = 30
"""A longest pause between two attempts, an opening, two looks at the stream, all emulated."""


def plug(guest: Guest) -> str:
    """Plugs the camera in; its name that lasts."""
    found = guest.run(f"{PLUG}; until ls {LINKS} 2>/dev/null; do sleep 0.2; done", timeout_s=60)
    return found.text.strip()


def unplug(guest: Guest) -> None:
    """Unplugs it, and waits until its node has gone."""
    guest.run(f"systemctl stop usb-camera; while ls {LINKS} 2>/dev/null; do sleep 0.2; done", timeout_s=60)


def _node(guest: Guest) -> str:
    return guest.run(f"readlink -f {LINKS}").text.strip()


def try_filming(guest: Guest, report: Report) -> None:
    """All of it, on an installed service; it films vivid again at the end."""
    guest.put(HERE / "usb_camera.py")
    guest.run("modprobe vhci-hcd && modprobe uvcvideo")
    name = plug(guest)
    if not report.check(
        "a USB camera by uvcvideo, over USB/IP", name.startswith("/dev/v4l/by-id/"), f"{name}, {_node(guest)}"
    ):
        return
    modes = guest.run(f'v4l2-ctl -d {name} --list-formats-ext | grep -E "\'|Size"').text
    report.check("it offers MJPEG and YUYV", "MJPG" in modes and "YUYV" in modes, modes)
    configure(guest, {"rate": SLOW})
    done = install(guest, f"--source {name} --wheel /box/now/*.whl")
    tracks = guest.run(TRACKS, timeout_s=120)
    report.check("a face is tracked", done.code == tracks.code == 0, " ".join(tracks.lines()))
    _try_unplugging(guest, report)
    for fault in FAULTS:
        _try_fault(guest, report, fault)
    _try_formats(guest, report)
    done = install(guest, "--source v4l2:0 --wheel /box/now/*.whl")
    unplug(guest)
    report.check("the service goes back to vivid", done.code == 0)


def _try_formats(guest: Guest, report: Report) -> None:
    for size in ("320, 240", "640, 480"):
        configure(guest, {"size": f"[{size}]"})
        answer = guest.run(f"systemctl restart fkp-edge; {TRACKS}", timeout_s=120)
        said = guest.run(
            "journalctl -u fkp-edge -n 20 --no-pager | grep -oE '[0-9]+x[0-9]+ (YUYV|MJPG).*' | tail -n 1"
        ).text
        wanted = size.replace(", ", "x")
        report.check(f"{wanted} from a USB camera", answer.code == 0 and wanted in said, said or answer.text)


def _try_unplugging(guest: Guest, report: Report) -> None:
    before, node = restarts(guest), _node(guest)
    unplug(guest)
    lost = guest.run(LOST, timeout_s=60)
    report.check("unplugged: the stream says no_camera", lost.code == 0, (lost.lines() or [""])[0])
    # the number that it had is taken meanwhile
    guest.run("modprobe -r vivid; modprobe vivid n_devs=3; udevadm settle")
    plug(guest)
    after = _node(guest)
    answer = guest.run(f"t=$(date +%s); {TRACKS}; echo $(($(date +%s) - t))", timeout_s=120)
    again = restarts(guest) - before
    passed = int(answer.lines()[-1]) if answer.code == 0 else -1
    report.check(
        "it comes back under another number",
        answer.code == 0 and node != after and again == 0,
        f"{node}, then {after}: tracked after {passed} s, {again} restarts",
    )
    report.figure("replugged_tracked_after_s", passed)


def _try_fault(guest: Guest, report: Report, fault: str) -> None:
    before, process = restarts(guest), property_of(guest, "MainPID")
    guest.run(f"echo {fault} > /run/camera; sleep {FAULT_S}", timeout_s=120)
    answer = guest.run(f"t=$(date +%s); echo flow > /run/camera; {TRACKS}; echo $(($(date +%s) - t))", timeout_s=120)
    passed = int(answer.lines()[-1]) if answer.code == 0 else -1
    same = restarts(guest) == before and property_of(guest, "MainPID") == process
    report.check(
        f"{fault} for {FAULT_S} s: tracked again",
        answer.code == 0 and same and passed <= MAX_RECOVERY_S,
        f"after {passed} s, {restarts(guest) - before} restarts",
    )
