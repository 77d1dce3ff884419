"""Machines that are kept: a booted guest's memory with its disk, woken on copies as often as one likes."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from .image import Image, run
from .machine import Accelerator, BoxError, Machine

__all__ = ["Asleep", "boot_first", "choose_accelerator"]

ROOT = "root.qcow2"


def boot_first(image: Image, kit: Path, folder: Path, accelerator: Accelerator) -> Machine:
    """A machine whose disk is new, in `folder`, and begins as the image's."""
    folder.mkdir(parents=True, exist_ok=True)
    _copy(image.root, folder / ROOT)
    return Asleep(image, kit, folder, accelerator).machine(folder, wakes=False)


def _copy(disk: Path, place: Path) -> None:
    """A disk that begins as `disk` and holds what differs; `disk` must not change any more."""
    kind = "qcow2" if disk.suffix == ".qcow2" else "raw"
    place.unlink(missing_ok=True)
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", kind, "-b", disk.resolve(), place)


@dataclass(frozen=True)
class Asleep:
    """A machine's memory and disk in a folder; nobody writes to them any more."""

    image: Image
    kit: Path
    folder: Path
    accelerator: Accelerator

    @property
    def memory(self) -> Path:
        """What `Machine.save` wrote."""
        return self.folder / "memory"

    def wake(self, folder: Path) -> Machine:
        """Goes on where it fell asleep, on a new disk in `folder` that begins as this one's."""
        folder.mkdir(parents=True, exist_ok=True)
        _copy(self.folder / ROOT, folder / ROOT)
        return self.machine(folder, wakes=True)

    def machine(self, folder: Path, *, wakes: bool) -> Machine:
        """Wakes, or boots, on the disk in `folder` as it is."""
        return Machine(
            self.image.kernel,
            self.image.initrd,
            [f"file={folder / ROOT},format=qcow2", f"file={self.kit},format=raw,readonly=on"],
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
