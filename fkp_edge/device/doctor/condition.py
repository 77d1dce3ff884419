"""Checks of how the board is doing: power, throttling, temperature, governor, disk, clock."""

from __future__ import annotations

from fkp_edge.device.doctor.finding import Finding, absent, fails, fine, warns
from fkp_edge.device.doctor.machine import Machine

__all__ = ["check_clock", "check_disk", "check_governor", "check_power", "check_temperature", "check_throttling"]

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
