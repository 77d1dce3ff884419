"""Checks of the camera and of how the board is doing: power, throttling, temperature, governor, disk, clock."""

from __future__ import annotations

import re
from pathlib import Path

from fkp_edge.device.doctor.machine import SERVICE_USER, Finding, Machine, absent, fails, fine, warns
from fkp_edge.device.source_names import canonical_name

__all__ = [
    "check_camera",
    "check_clock",
    "check_disk",
    "check_governor",
    "check_holders",
    "check_permissions",
    "check_power",
    "check_temperature",
    "check_throttling",
]

SENSOR_NODES = ("unicam", "rp1-cfe")
"""What the video nodes of a Pi camera's receiver are named, up to a Pi 4 and on a Pi 5."""
LISTENERS = ("pipewire", "wireplumber")
"""Desktop services that open camera nodes to list them and do not stream from them."""
CABLE = "switch off, push the ribbon cable in straight on both ends, then try rpicam-hello --list-cameras"
NOTHING = "no camera device: nothing to check"
APT = "sudo apt install python3-picamera2"


def check_camera(machine: Machine) -> Finding:
    """Whether the camera that the configuration names is there; with `auto`, whether any is."""
    source = canonical_name(machine.source)
    if source.startswith("v4l2:"):
        return _check_v4l2(machine, source)
    if source == "usb":
        found = ", ".join(f"/dev/{node}: {name}" for node, name in _usb_cameras(machine).items())
        return fine(found) if found else fails("the source is a USB camera, and there is none", "plug it in")
    if source not in ("auto", "picamera"):
        return absent("the source is no camera: nothing to check")
    said = machine.probe("picamera2")
    if said.facts.get("cameras"):
        return fine(f"libcamera sees {', '.join(said.facts['cameras'])}")
    if said.error and not said.error.startswith(("ModuleNotFoundError: No module named 'picamera2'", "no process")):
        return fails(f"picamera2 does not load: {said.error}", _reload(machine, said.error))
    if said.error and (sensors := [name for name in _video_names(machine).values() if name.startswith(SENSOR_NODES)]):
        fix = f"{APT}, and let the environment see it (see environment)"
        return fails(f"a Pi camera is there ({sensors[0]}), and picamera2 is not", fix)
    usb = _usb_cameras(machine)
    if usb and source == "auto":
        return fine(", ".join(f"/dev/{node}: {name}" for node, name in usb.items()))
    return _missing(machine, source, has_picamera2=not said.error)


def check_holders(machine: Machine) -> Finding:
    """Who has a camera's files open."""
    holders = machine.holders("/dev/video", "/dev/media")
    if not holders:
        if not _nodes(machine):
            return absent(NOTHING)
        unseen = "" if machine.user == "root" else ", as far as this user sees; sudo sees everybody's programs"
        return fine(f"nobody holds a camera{unseen}")
    ours = [holder for holder in holders if holder.is_ours]
    if ours:
        return fine(f"{ours[0]} holds it, as it should; a second run needs another source, or the service stopped")
    streaming = [holder for holder in holders if holder.name not in LISTENERS]
    if not streaming:
        return fine(f"{', '.join(map(str, holders))} listen, which does no harm")
    named = ", ".join(f"{holder} holds {holder.paths[0]}" for holder in streaming[:3])
    sudo = "sudo " if machine.user == "root" else ""  # others see only what they may end
    return fails(named, f"stop it: {sudo}kill {streaming[0].pid}")


def check_permissions(machine: Machine) -> Finding:
    """Whether this user may open the files of cameras and of a Coral."""
    nodes = [*_nodes(machine), *_corals(machine)]
    if not nodes:
        return absent(NOTHING)
    closed = [node for node in nodes if not machine.may_open(node)]
    if not closed:
        return fine(f"{machine.user} may open all {len(nodes)} device files")
    named = "/" + str(closed[0].relative_to(machine.root))
    groups = {line.split(":")[0]: line.split(":")[-1].split(",") for line in machine.text("etc/group").splitlines()}
    group = _group(closed[0])
    is_service = machine.user == SERVICE_USER
    if machine.user in groups.get(group, []):
        again = "sudo systemctl restart fkp-edge" if is_service else "log out and in again"
        return fails(f"{machine.user} may not open {named}, although in the group {group}", again)
    then = "sudo systemctl restart fkp-edge" if is_service else "log in again"
    return fails(f"{machine.user} may not open {named}", f"sudo usermod -aG {group} {machine.user}, then {then}")


def _check_v4l2(machine: Machine, source: str) -> Finding:
    node = f"video{source.removeprefix('v4l2:')}"
    names = _video_names(machine)
    if not (machine.root / "dev" / node).exists():
        there = ", ".join(f"/dev/{other} ({name})" for other, name in _usb_cameras(machine).items()) or "none is there"
        return fails(f"/dev/{node} does not exist, and the source is {source}", f"plug it in, or name another: {there}")
    return fine(f"/dev/{node}: {names.get(node, 'unnamed')}")


def _missing(machine: Machine, source: str, *, has_picamera2: bool) -> Finding:
    if source == "picamera" and not has_picamera2:
        then = "sudo systemctl restart fkp-edge" if machine.is_service else "make clean-venv run"
        return fails("the source is picamera, and picamera2 is not installed", f"{APT}, then {then}")
    if source == "picamera":
        return fails("libcamera sees no camera", CABLE)
    if machine.is_pi:
        fix = CABLE if has_picamera2 else f"{APT} for a camera on a ribbon cable, or plug a USB camera in"
        return warns("no camera: run plays the demo", fix)
    return absent("no camera: run plays the demo")


def _reload(machine: Machine, error: str) -> str:
    if "numpy" in error.lower() or "binary incompatib" in error:
        return machine.install("'numpy<2'")
    return "sudo apt install --reinstall python3-picamera2; look at it with python3 -c 'import picamera2'"


def _video_names(machine: Machine) -> dict[str, str]:
    """videoN -> what its driver calls it, by number."""
    found = (machine.root / "sys/class/video4linux").glob("video*")
    ordered = sorted(found, key=lambda path: int(re.sub(r"\D", "", path.name) or 0))
    return {path.name: machine.text(f"sys/class/video4linux/{path.name}/name") for path in ordered}


def _usb_cameras(machine: Machine) -> dict[str, str]:
    """videoN -> name of what streams through the USB video class; its second node gives no pictures."""
    return {
        node: name
        for node, name in _video_names(machine).items()
        if (machine.root / f"sys/class/video4linux/{node}/device/driver").resolve().name == "uvcvideo"
        and machine.text(f"sys/class/video4linux/{node}/index") == "0"
    }


def _nodes(machine: Machine) -> list[Path]:
    """Files that a camera is read through; on a Pi libcamera takes its memory from the DMA heaps."""
    folder = machine.root / "dev"
    nodes = [path for pattern in ("video*", "media*") for path in sorted(folder.glob(pattern))]
    return [*nodes, *sorted(folder.glob("dma_heap/*"))] if nodes and machine.is_pi else nodes


def _corals(machine: Machine) -> list[Path]:
    """Files that a Coral is reached through."""
    try:
        from fkp_edge.model.edgetpu import find_devices
    except ImportError:  # nothing is installed yet
        return []
    return [device.node for device in find_devices(machine.root)]


def _group(node: Path) -> str:
    """That may open it: Raspberry Pi OS's for cameras, libedgetpu's for Corals."""
    if node.name.startswith("apex"):
        return "apex"
    return "plugdev" if "usb" in node.parts else "video"


VOLTAGE = (0, 16)
"""Bits of `vcgencmd get_throttled`: now, and since the system started. The others are about speed."""
HOT_C = 80.0
"""Raspberry Pis slow down from here."""
WARM_C = 70.0
MIN_MB = 50
LITTLE_MB = 300
GOVERNOR = "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"


def check_power(machine: Machine) -> Finding:
    """Under-voltage, now or since the system started."""
    bits = machine.board.throttled if machine.board else None
    if bits is None:
        return _unread(machine)
    supply = "use the official power supply and a short cable: 5 V 3 A, on a Pi 5 5 V 5 A"
    if bits >> VOLTAGE[0] & 1:
        return fails("under-voltage now", supply)
    if bits >> VOLTAGE[1] & 1:
        return warns("under-voltage since the system started", supply)
    return fine("no under-voltage since the system started")


def check_throttling(machine: Machine) -> Finding:
    """Whether the processor is slowed down, or was."""
    board = machine.board
    if board is None or board.throttled is None:
        return _unread(machine)
    now = [text for text in board.throttling if "voltage" not in text]
    before = [text for text in board.throttled_before if "voltage" not in text]
    cool = "see power and temperature; a heat sink or fan helps"
    if now:
        return fails(", ".join(now), cool)
    return warns(", ".join(before), cool) if before else fine("never slowed down since the system started")


def check_temperature(machine: Machine) -> Finding:
    """Of the processor."""
    found = machine.board.temperature_c if machine.board else None
    if found is None:
        return absent("no sensor says one")
    text, fix = f"{found:.0f} degrees C", "give it air, a heat sink or a fan"
    if found >= HOT_C:
        return fails(f"{text}, it slows down from {HOT_C:.0f}", fix)
    return warns(f"{text}, it slows down from {HOT_C:.0f}", fix) if found >= WARM_C else fine(text)


def check_governor(machine: Machine) -> Finding:
    """How the processor's frequency follows the load."""
    found = machine.board.governor if machine.board else None
    if not found:
        return absent("the frequency is not governed")
    if found == "powersave":
        fix = f"echo ondemand | sudo tee /{GOVERNOR.replace('cpu0', 'cpu*')}"
        return warns("powersave keeps the lowest frequency", fix)
    return fine(found)


def check_disk(machine: Machine) -> Finding:
    """Room for logs, recordings and the next version."""
    free_mb = machine.free_bytes(machine.root) // 2**20
    fix = "df -h; sudo apt clean; sudo journalctl --vacuum-size=50M"
    if free_mb < MIN_MB:
        return fails(f"only {free_mb} MB are free", fix)
    return warns(f"only {free_mb} MB are free", fix) if free_mb < LITTLE_MB else fine(f"{free_mb:,} MB free")


def check_clock(machine: Machine) -> Finding:
    """Whether the clock is synchronised. The stream's times need none; certificates and recordings' dates do."""
    if (machine.root / "run/systemd/timesync/synchronized").exists():
        return fine("synchronised")
    try:
        said = machine.run(["timedatectl", "show", "--property=NTPSynchronized", "--value"]).output.strip()
    except OSError:
        said = ""
    if said == "yes":
        return fine("synchronised")
    if said == "no":
        return warns("not synchronised: recordings get a wrong date", "sudo timedatectl set-ntp true, with a network")
    return absent("no timedatectl says whether it is synchronised")


def _unread(machine: Machine) -> Finding:
    if not machine.is_pi:
        return absent("no Raspberry Pi: nothing to check")
    if machine.board is None:
        return absent("not checked: msgspec is not installed")
    return warns("vcgencmd does not say it", f"sudo usermod -aG video {machine.user}, then log in again")
