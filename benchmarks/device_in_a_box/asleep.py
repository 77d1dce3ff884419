"""Machines that are kept: a booted guest's memory with its disks, woken on copies as often as one likes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from .image import Image, run
from .machine import Accelerator, BoxError, Machine

__all__ = ["Asleep", "boot_first", "choose_accelerator"]

STATE_MB = 64


def boot_first(image: Image, kit: Path, folder: Path, accelerator: Accelerator) -> Machine:
    """A machine with new disks in `folder`: the system, the kit, and an empty one to cut off from power."""
    folder.mkdir(parents=True, exist_ok=True)
    blank = folder / "blank.img"
    blank.unlink(missing_ok=True)
    run("mke2fs", "-q", "-t", "ext4", blank, f"{STATE_MB}M")
    _copy(image.root, folder / "root.qcow2")
    _copy(blank, folder / "state.qcow2")
    return Asleep(image, kit, folder, accelerator).machine(folder, wakes=False)


def _copy(disk: Path, place: Path) -> None:
    """A disk that begins as `disk` and holds what differs; `disk` must not change any more."""
    kind = "qcow2" if disk.suffix == ".qcow2" else "raw"
    place.unlink(missing_ok=True)
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", disk.resolve(), place)


@dataclass(frozen=True)
class Asleep:
    """A machine's memory and disks in a folder; nobody writes to them any more."""

    image: Image
    kit: Path
    folder: Path
    accelerator: Accelerator

    @property
    def memory(self) -> Path:
        """What `Machine.save` wrote."""
        return self.folder / "memory"

    def wake(self, folder: Path) -> Machine:
        """Goes on where it fell asleep, on new disks in `folder` that begin as these."""
        self._copy_to(folder)
        return self.machine(folder, wakes=True)

    def _copy_to(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("root.qcow2", "state.qcow2"):
            _copy(self.folder / name, folder / name)

    def machine(self, folder: Path, *, wakes: bool) -> Machine:
        """Wakes, or boots, on the disks in `folder` as they are."""
        drives = [f"file={folder / 'root.qcow2'},format=qcow2", f"file={self.kit},format=raw,readonly=on"]
        return Machine(
            self.image.kernel,
            self.image.initrd,
            [*drives, f"file={folder / 'state.qcow2'},format=qcow2"],
            accelerator=self.accelerator,
            log=folder / "console.log",
            saved=self.memory if wakes else None,
        )


def choose_accelerator(image: Image, kit: Path, folder: Path) -> Accelerator:
    """kvm where a guest boots with it, else tcg.

    A nested /dev/kvm may be there and abort or hang, so it must boot the guest once.
    """
    if not Path("/dev/kvm").exists():
        return "tcg"
    try:
        with boot_first(image, kit, folder, "kvm") as machine:
            machine.run("true", timeout_s=10)
    except BoxError as error:
        print(f"/dev/kvm boots no guest: {str(error).splitlines()[0][:200]}", file=sys.stderr)
        return "tcg"
    return "kvm"
