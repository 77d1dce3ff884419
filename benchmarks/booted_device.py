"""fkp-edge as a service on a Debian that boots: in a virtual machine, or with --container on this machine's kernel.

    sudo python benchmarks/booted_device.py OUT.json [--suite trixie] [--only PART ...] [--cache .vm]
    sudo python benchmarks/booted_device.py OUT.json --container [--cuts 200]

device_in_a_box/README.md says what is tried, what is real and what it needs; `--cache` keeps what is built. OUT keeps
the results of the other way and of parts that are not asked for. Exit code 1 where something is not as it should be;
where a program or root is missing it says so, and tries nothing.
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
from device_in_a_box.container import NSPAWN, Container
from device_in_a_box.cutting import cut_power
from device_in_a_box.filming import try_filming
from device_in_a_box.guest import Guest
from device_in_a_box.image import SUITES, Image, build_image, build_kit, missing, warm
from device_in_a_box.installing import try_installing, try_versions
from device_in_a_box.machine import QEMU, BoxError
from device_in_a_box.report import Report
from device_in_a_box.serving import try_serving

PARTS: dict[str, Callable[[Guest, Report], None]] = {
    "versions": try_versions,
    "serve": try_serving,
    "film": try_filming,
}
"""What is tried on a machine with the service installed, each on a copy of its own."""
ALL = ("install", *PARTS)
COMMAND = "sudo python benchmarks/booted_device.py OUT.json"
BOOTS = 4
"""Of the machines that were cut off from power."""


def install(asleep: Asleep, report: Report) -> None:
    """Boots the image, installs the service, reboots, and puts that machine to sleep."""
    with boot_first(asleep.image, asleep.kit, asleep.folder, asleep.accelerator) as machine:
        report.check("it boots", True, machine.run("uname -r; systemctl --version | head -n 1; python3 --version").text)
        try_installing(machine, report)
        machine.save(asleep.memory)


def try_part(part: str, asleep: Asleep, work: Path, report: Report) -> None:
    """One of the parts."""
    if part == "install":
        return
    with asleep.wake(work / part) as machine:
        PARTS[part](machine, report)


def write(out: Path, report: Report, host: dict[str, Any]) -> None:
    """The report of one system into the file, which keeps those of others."""
    found = json.loads(out.read_text()) if out.exists() else {"systems": {}}
    found["systems"][report.system] = {"host": host, **report.as_dict()}
    out.write_text(json.dumps(found, indent=1) + "\n")


def main() -> int:
    """Exit code 1 where a check is not good."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--suite", choices=SUITES, default="trixie")
    parser.add_argument("--only", nargs="+", choices=ALL, default=ALL, help="the others' results in OUT are kept")
    parser.add_argument("--cache", type=Path, default=Path(".vm"))
    parser.add_argument("--cuts", type=int, default=200, help="of power, in the container; an even number")
    parser.add_argument(
        "--container", action="store_true", help="systemd in a container: install, versions and serve, in minutes"
    )
    parser.add_argument("--accelerator", choices=("kvm", "tcg"), help="instead of trying kvm first")
    args = parser.parse_args()
    if absent := missing(NSPAWN if args.container else QEMU, is_root=os.geteuid() == 0):
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
    system = f"{args.suite} in a container" if args.container else args.suite
    kept = json.loads(args.out.read_text())["systems"].get(system, {}) if args.out.exists() else {}
    report, host = Report.read(system, kept), {}
    try:
        if args.container:
            host = {"command": f"{COMMAND} --container --cuts {args.cuts}", "runs_on": said_by(NSPAWN)}
            try_container(image, kit, work, report)
            if args.cuts:
                cut_power(image, kit, work, report, count=args.cuts, boots=min(BOOTS, args.cuts))
        else:
            accelerator = args.accelerator or choose_accelerator(image, kit, work / "kvm")
            host = {"command": COMMAND, "runs_on": said_by(QEMU), "accelerator": accelerator}
            try_machine(
                args, Asleep(image, kit, args.cache / f"installed-{image.root.stem}", accelerator), work, report
            )
    except BoxError as error:
        print(f"booted_device.py: error: {error}", file=sys.stderr)
        return 1
    finally:
        write(args.out, report, host | {"wall_s": round(time.monotonic() - began)})
    if report.failed:
        print(f"booted_device.py: not as it should be: {', '.join(report.failed)}", file=sys.stderr)
    return 1 if report.failed else 0


def said_by(program: str) -> str:
    """The first line of its version."""
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.splitlines()[0]


def try_machine(args: argparse.Namespace, asleep: Asleep, work: Path, report: Report) -> None:
    """The parts that are asked for, and the installation that they need."""
    if "install" in args.only or not asleep.memory.exists():
        install(asleep, report)
    for part in args.only:
        try_part(part, asleep, work, report)


def try_container(image: Image, kit: Path, work: Path, report: Report) -> None:
    """What needs no kernel of its own."""
    with Container(image, kit, work) as container:
        report.check("it boots", True, container.run("systemctl --version | head -n 1; python3 --version").text)
        try_installing(container, report)
        try_versions(container, report)
        try_serving(container, report)


if __name__ == "__main__":
    sys.exit(main())
