"""fkp-edge as a service on Debian that boots in QEMU: installed, upgraded, tried with cameras, cut off from power.

    sudo python benchmarks/booted_device.py OUT.json [--suite trixie] [--only PART ...] [--cache .vm] [--cuts 40]

Needs root, qemu-system-x86, mmdebstrap and e2fsprogs, and a network while it builds the image, which `--cache` keeps;
so it does a machine on which the service was installed, from which the other parts go on. The guest has no network.
Exit code 1 where something is not as it should be; where one of these is missing it says so, and tries nothing.

Not in it: a Raspberry Pi. The guest is an x86-64 machine with Debian's kernel, its cameras are the kernel's test driver
and a program. Where KVM boots no guest it is emulated, and its clock counts instructions, one a nanosecond: its seconds
do not depend on the machine that emulates, and are no board's. pip makes the environments outside the guest, by the
installer itself, because emulated it takes half an hour.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from device_in_a_box.asleep import Asleep, boot_first, choose_accelerator
from device_in_a_box.cutting import cut_power
from device_in_a_box.filming import try_filming
from device_in_a_box.image import SUITES, build_image, build_kit, missing, warm
from device_in_a_box.installing import try_installing, try_versions
from device_in_a_box.machine import QEMU, BoxError, Machine
from device_in_a_box.report import Report
from device_in_a_box.serving import try_serving

PARTS: dict[str, Callable[[Machine, Report], None]] = {
    "versions": try_versions,
    "serve": try_serving,
    "film": try_filming,
}
"""What is tried on a machine with the service installed, each on a copy of its own."""
ALL = ("install", *PARTS, "power")
BOOTS = 4
"""Of the machines that were cut off from power."""


def install(asleep: Asleep, report: Report) -> None:
    """Boots the image, installs the service, reboots, and puts that machine to sleep."""
    with boot_first(asleep.image, asleep.kit, asleep.folder, asleep.accelerator) as machine:
        report.check("it boots", True, machine.run("uname -r; systemctl --version | head -n 1; python3 --version").text)
        try_installing(machine, report)
        machine.save(asleep.memory)


def try_part(part: str, asleep: Asleep, work: Path, report: Report, cuts: int) -> None:
    """One of the parts."""
    if part == "install":
        return
    if part == "power":
        cut_power(asleep, work, report, count=cuts, boots=BOOTS)
        return
    with asleep.wake(work / part) as machine:
        PARTS[part](machine, report)


def write(out: Path, report: Report, host: dict[str, Any]) -> None:
    """The report of one system into the file, which keeps those of others."""
    found = json.loads(out.read_text()) if out.exists() else {"systems": {}}
    found["command"] = "sudo python benchmarks/booted_device.py OUT.json"
    found["systems"][report.system] = {"host": host, **report.as_dict()}
    out.write_text(json.dumps(found, indent=1) + "\n")


def main() -> int:
    """Exit code 1 where a check is not good."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--suite", choices=SUITES, default="trixie")
    parser.add_argument("--only", nargs="+", choices=ALL, default=ALL, help="the others' results in OUT are kept")
    parser.add_argument("--cache", type=Path, default=Path(".vm"))
    parser.add_argument("--cuts", type=int, default=40, help="of power; an even number")
    parser.add_argument("--accelerator", choices=("kvm", "tcg"), help="instead of trying kvm first")
    args = parser.parse_args()
    if absent := missing(os.geteuid() == 0):
        print(f"booted_device.py: skipped, there is no {', no '.join(absent)}", file=sys.stderr)
        return 0
    args.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="box-", dir=args.cache) as folder:
        return try_all(args, Path(folder))


def try_all(args: argparse.Namespace, work: Path) -> int:
    """Builds what is not there, tries the parts, and writes after each."""
    began = time.monotonic()
    kit = build_kit(args.suite, args.cache)
    image = warm(build_image(args.suite, args.cache), kit, args.cache)
    accelerator, why = (
        (args.accelerator, "chosen") if args.accelerator else choose_accelerator(image, kit, work / "kvm")
    )
    print(f"booted_device.py: {accelerator}: {why}", file=sys.stderr)
    qemu = subprocess.run([QEMU, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]
    kept = json.loads(args.out.read_text())["systems"].get(args.suite, {}) if args.out.exists() else {}
    report = Report.read(args.suite, kept)
    asleep = Asleep(image, kit, args.cache / f"installed-{image.root.stem}", accelerator)
    try:
        if "install" in args.only or not asleep.memory.exists():
            install(asleep, report)
        for part in args.only:
            try_part(part, asleep, work, report, args.cuts)
    except BoxError as error:
        print(f"booted_device.py: error: {error}", file=sys.stderr)
        return 1
    finally:
        host = {"qemu": qemu, "accelerator": accelerator, "why": why, "wall_s": round(time.monotonic() - began)}
        write(args.out, report, host)
    if report.failed:
        print(f"booted_device.py: not as it should be: {', '.join(report.failed)}", file=sys.stderr)
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
