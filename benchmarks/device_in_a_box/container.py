"""Debian's systemd in a container of this machine's kernel: the service under its manager, at full speed."""

from __future__ import annotations

import base64
import contextlib
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from .image import Image, run
from .machine import BoxError
from .wire import Answer

__all__ = ["NSPAWN", "Container"]

NSPAWN = "systemd-nspawn"
BOOT_S = 180.0
END_S = 30.0
SHELL = ("env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "bash", "-c")


class Container:
    """One booted container; `run` gives it commands, as a `Machine`'s. Closing it ends all that runs in it."""

    prepare = (
        "mkdir -p /etc/fkp-edge && sed 's|^source = .*|source = \"demo\"|; s|^loop = .*|loop = true|' "
        "/box/clone/device/config.toml > /etc/fkp-edge/config.toml"
    )
    """It has no camera: the service plays the demo again and again."""
    source = "config"
    has_kernel = False
    """Of its own: no drivers, no clock, no memory limit where the host counts no memory."""

    def __init__(self, image: Image, kit: Path, work: Path, *, state: Path | None = None) -> None:
        """Boots, and returns once systemd has started what it should.

        Args:
            image: of the system; it is not written to.
            kit: the second disk.
            work: a new folder.
            state: what is /var/lib/fkp-edge in it; by default a folder of the image.

        Raises:
            BoxError: it does not boot.
        """
        self._mounts: list[Path] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._log = work / "container.log"
        self._state = state
        work.mkdir(parents=True, exist_ok=True)
        disk, root, box = work / "container.img", work / "root", work / "kit"
        run("cp", "--sparse=always", image.root, disk)
        try:
            self._mount(disk, root, "loop")
            self._mount(kit, box, "loop,ro")
            (root / "etc/fstab").unlink()  # its disks are those of a machine
            self._start()
        except BaseException:
            self.cut()
            raise

    def _start(self) -> None:
        root, box = self._mounts
        command = [NSPAWN, "-D", str(root), f"--bind-ro={box.resolve()}:/box", "--private-network", "--console=pipe"]
        if self._state:
            command.append(f"--bind={self._state.resolve()}:/var/lib/fkp-edge")
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*command, "--register=no", "--keep-unit", "--boot"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=os.environ | {"SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
            )
        self._wait()

    def _mount(self, disk: Path, place: Path, options: str) -> None:
        place.mkdir(exist_ok=True)
        run("mount", "-o", options, disk, place)
        self._mounts.append(place)

    def _init(self) -> int | None:
        """The container's first process, as this machine numbers it."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        found = children.read_text().split() if children.exists() else []
        return int(found[0]) if found else None

    def _wait(self) -> None:
        """Until systemd has started all units."""
        self._began_s = time.monotonic()
        while time.monotonic() < self._began_s + BOOT_S:
            with contextlib.suppress(BoxError):
                if self.run("systemctl is-system-running").text.strip() in ("running", "degraded"):
                    return
            time.sleep(0.2)
        raise BoxError(f"the container did not boot; {self._log.read_text()[-300:].strip() or 'it said nothing'}")

    def run(self, command: str, *, timeout_s: float = 300.0) -> Answer:
        """Runs a line of bash as root in it; after `timeout_s` it is killed, and the code is 124.

        Raises:
            BoxError: it has ended.
        """
        init = self._init()
        if init is None:
            raise BoxError("the container has ended")
        enter = ["nsenter", "-t", str(init), "-m", "-u", "-i", "-n", "-p", "-C", "-r", "-w", *SHELL, command]
        with tempfile.TemporaryFile() as output:
            process = subprocess.Popen(
                enter, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
            try:
                code = process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
                code = 124
            output.seek(0)
            return Answer(code, output.read().decode(errors="replace"), time.monotonic() - self._began_s)

    def read(self, file: str) -> str:
        """The text of a file in it, at once."""
        return Path(f"/proc/{self._init()}/root{file}").read_text()

    def put(self, file: Path) -> None:
        """Copies a small file into its /root."""
        self.run(f"base64 -d > /root/{file.name} <<< {base64.b64encode(file.read_bytes()).decode()}")

    def reboot(self) -> None:
        """As `systemctl reboot` does it."""
        assert self._process is not None
        self.run("systemctl reboot")
        try:
            self._process.wait(BOOT_S)  # it leaves starting again to who started it
        except subprocess.TimeoutExpired as error:
            raise BoxError("the container did not shut down") from error
        self._start()

    def cut(self) -> None:
        """Ends all that runs in it, and unmounts. Twice is fine."""
        if self._process is not None:
            if (init := self._init()) is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(init, signal.SIGKILL)
            try:
                self._process.wait(END_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        while self._mounts:
            run("umount", self._mounts.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.cut()
