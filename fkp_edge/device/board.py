"""What this machine is and how it is doing: board, processor, governor, temperature, throttling. Linux only.

Read from procfs, sysfs and the device tree below a root folder, so that it can be read of a copy, too.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec

from fkp_edge.core.subprocesses import run_program

__all__ = ["THROTTLING", "Board", "read_board"]

MAX_BYTES = 2**18
TIMEOUT_S = 5.0
PARTS = {"0xd03": "Cortex-A53", "0xd08": "Cortex-A72", "0xd0b": "Cortex-A76"}
"""`CPU part` of /proc/cpuinfo on the 64-bit Raspberry Pis (3, 4, 5), which name no model there."""
THROTTLING = {
    0: "under-voltage",
    1: "frequency capped",
    2: "throttled",
    3: "soft temperature limit",
    16: "under-voltage has occurred",
    17: "the frequency has been capped",
    18: "throttling has occurred",
    19: "the soft temperature limit has been reached",
}
"""Bits of `vcgencmd get_throttled`, by its documentation: 0 to 3 now, 16 to 19 since the start of the system."""


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """A machine at one moment; None is what it does not say."""

    model: str | None
    """The device tree's, such as `Raspberry Pi 5 Model B Rev 1.0`."""
    cpu: str | None
    """Such as Cortex-A76."""
    cores: int
    """Processors that are online; 0 where that cannot be read."""
    memory_mb: float | None
    """All of it, MiB."""
    system: str | None
    """Such as `Debian GNU/Linux 12 (bookworm)`."""
    kernel: str | None
    governor: str | None
    """Of the first processor's frequency; `performance` does not wait for load."""
    frequency_mhz: float | None
    """Of the first processor at this moment."""
    temperature_c: float | None
    """Of the processor, where a sensor says so; else of the first sensor."""
    throttled: int | None
    """Bits of `THROTTLING`."""

    @property
    def throttling(self) -> tuple[str, ...]:
        """What slows it down now."""
        return self._named(range(4))

    @property
    def throttled_before(self) -> tuple[str, ...]:
        """What slowed it down since the system started."""
        return self._named(range(16, 20))

    def _named(self, bits: range) -> tuple[str, ...]:
        return tuple(THROTTLING[bit] for bit in bits if (self.throttled or 0) >> bit & 1)


def read_board(root: Path = Path("/"), vcgencmd: str = "vcgencmd") -> Board:
    """The machine whose files lie below `root`.

    Args:
        root: holds proc, sys and etc.
        vcgencmd: the Raspberry Pi's program, found on PATH; where it is absent or fails, the kernel is asked.
    """
    cpuinfo = _text(root / "proc/cpuinfo")
    frequency = root / "sys/devices/system/cpu/cpu0/cpufreq"
    return Board(
        model=_text(root / "proc/device-tree/model").strip("\0 \n") or None,
        cpu=_cpu(cpuinfo),
        cores=sum(line.split(":")[0].strip() == "processor" for line in cpuinfo.splitlines()),
        memory_mb=_scaled(_value(_text(root / "proc/meminfo"), "MemTotal", ":").removesuffix("kB"), 1024),
        system=_value(_text(root / "etc/os-release"), "PRETTY_NAME", "=").strip('"') or None,
        kernel=_text(root / "proc/sys/kernel/osrelease").strip() or None,
        governor=_text(frequency / "scaling_governor").strip() or None,
        frequency_mhz=_scaled(_text(frequency / "scaling_cur_freq"), 1000),
        temperature_c=_temperature(root / "sys/class/thermal"),
        throttled=_throttled(root, vcgencmd),
    )


def _text(path: Path) -> str:
    """The file's text; empty where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode(errors="replace")
    except OSError:
        return ""


def _value(text: str, key: str, between: str) -> str:
    """What stands behind `key` in lines of keys and values; empty where it is absent."""
    for line in text.splitlines():
        name, found, value = line.partition(between)
        if found and name.strip() == key:
            return value.strip()
    return ""


def _scaled(text: str, divisor: float) -> float | None:
    try:
        return int(text) / divisor
    except ValueError:
        return None


def _cpu(cpuinfo: str) -> str | None:
    part = _value(cpuinfo, "CPU part", ":")
    return _value(cpuinfo, "model name", ":") or PARTS.get(part, f"Arm {part}" if part else None)


def _temperature(zones: Path) -> float | None:
    """A processor's zone is called `cpu-thermal` on a Raspberry Pi and `x86_pkg_temp` on a PC."""
    found: dict[str, float] = {}
    for zone in sorted(zones.glob("thermal_zone*")):
        value = _scaled(_text(zone / "temp"), 1000)
        if value is not None:
            found.setdefault(_text(zone / "type").strip(), value)
    processor = [value for kind, value in found.items() if "cpu" in kind or "x86_pkg" in kind]
    return next(iter([*processor, *found.values()]), None)


def _throttled(root: Path, vcgencmd: str) -> int | None:
    program, said = shutil.which(vcgencmd), ""
    if program:
        try:
            ended = run_program([program, "get_throttled"], timeout_s=TIMEOUT_S)
        except OSError:
            ended = None
        if ended and ended.code == 0:  # else the user may not open its device
            said = ended.output.strip().removeprefix("throttled=")
    for path in (root / "sys/devices/platform").glob("soc*/*:firmware/get_throttled"):  # soc@107c000000 on a Pi 5
        said = said or _text(path).strip()
    try:
        return int(said, 16)
    except ValueError:
        return None
