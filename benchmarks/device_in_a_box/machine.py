"""A virtual machine: QEMU started, told what to run, rebooted, cut off from power."""

from __future__ import annotations

import base64
import contextlib
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, Self

from .wire import Answer, Lines

__all__ = ["Accelerator", "BoxError", "Machine"]

QEMU = "qemu-system-x86_64"
BOOT_S = 1800.0
"""Wall time for a boot under emulation on a busy machine."""
SLOWEST = 60.0
"""Wall seconds for a guest's second, likewise."""
KVM_S = 60.0
"""The same with the processor's help; nested, it may hang."""
MONITOR_S = 60.0
MEMORY_MB = 1024

ACCELERATION = {
    "kvm": ["-accel", "kvm", "-cpu", "host", "-smp", "2"],
    # a guest whose clock counts instructions, one a nanosecond, does not notice that its machine is busy; 57-bit
    # addresses would cost another level of every page table
    "tcg": ["-accel", "tcg", "-cpu", "max,la57=off", "-smp", "1", "-icount", "shift=0"],
}
Accelerator = str
"""kvm, or tcg: plain emulation."""


class BoxError(RuntimeError):
    """The machine did not do what the program needs to go on."""


class Machine:
    """One booted guest; `run` gives it commands. Closing it cuts its power."""

    prepare = "modprobe vivid && echo vivid > /etc/modules-load.d/vivid.conf && udevadm settle && ls /dev/video0"
    """The camera of the kernel's own driver for tests: its picture has no face."""
    source = "v4l2:0"
    has_kernel = True

    def __init__(
        self,
        kernel: Path,
        initrd: Path,
        disks: Sequence[str],
        *,
        accelerator: Accelerator,
        log: Path,
        append: str = "",
        saved: Path | None = None,
    ) -> None:
        """Boots, or goes on from what `save` wrote, and returns once the guest's agent answers.

        Args:
            kernel: of the guest.
            initrd: of the guest.
            disks: QEMU's `-drive` values, in the order vda, vdb ...
            accelerator: kvm or tcg.
            log: receives the console's text.
            append: more words for the kernel's command line.
            saved: memory of a machine with the same options, whose disks were as `disks` are.

        Raises:
            BoxError: it does not boot.
        """
        self.log = log
        self.boot_id = ""
        self._number = 0
        self._folder = Path(tempfile.mkdtemp(prefix="box-"))
        port = self._folder / "port"
        command = [
            QEMU,
            *ACCELERATION[accelerator],
            "-m",
            str(MEMORY_MB),
            "-nodefaults",
            "-display",
            "none",
            "-no-user-config",
        ]
        command += ["-kernel", str(kernel), "-initrd", str(initrd)]
        command += [
            "-append",
            f"root=/dev/vda rw console=ttyS0 panic=-1 mitigations=off systemd.show_status=1 {append}".strip(),
        ]
        command += ["-serial", f"file:{log}", "-device", "virtio-rng-pci", "-device", "virtio-serial-pci"]
        command += ["-chardev", f"socket,path={port},server=on,wait=off,id=box"]
        command += ["-device", "virtserialport,chardev=box,name=box"]
        command += ["-qmp", f"unix:{self._folder / 'monitor'},server=on,wait=off"]
        if saved:
            command += ["-incoming", f"exec:cat {shlex.quote(str(saved))}"]
        for disk in disks:
            command += ["-drive", f"if=virtio,{disk}"]
        log.parent.mkdir(parents=True, exist_ok=True)
        self._errors = (self._folder / "errors").open("w+")
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
        )
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._connect(port)
            self._lines = Lines(self._socket.fileno())
            if saved:
                self._wait_until("paused", "inmigrate")  # as it was saved
                self._monitor({"execute": "cont"})
                self.run("true")
            else:
                self.wait_for_boot(KVM_S if accelerator == "kvm" else BOOT_S)
        except BaseException:
            self.cut()
            raise

    def _connect(self, port: Path) -> None:
        for _ in range(200):
            with contextlib.suppress(OSError):
                self._socket.connect(str(port))
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        raise BoxError(f"QEMU did not start: {self._said()}")

    def _said(self) -> str:
        self._errors.seek(0)
        return self._errors.read().strip()[-500:] or "nothing on its error output"

    def wait_for_boot(self, timeout_s: float = BOOT_S) -> None:
        """Returns once the agent of a boot that was not seen before says hello.

        Raises:
            BoxError: it does not.
        """
        end = time.monotonic() + timeout_s
        try:
            while True:
                hello = self._lines.next(end - time.monotonic()).get("hello")
                if hello and hello != self.boot_id:
                    self.boot_id = hello
                    return
        except (TimeoutError, ConnectionError) as error:
            raise BoxError(f"the guest did not boot ({error}); {self.log} has its console; {self._said()}") from error

    def _start(self, command: str, *, timeout_s: float = 300.0) -> Generator[str, None, Answer]:
        """Sends a command now; what is returned gives its output as it comes, and ends with the command.

        Its `StopIteration` carries the `Answer`.
        """
        self._number += 1
        self._lines.send(number=self._number, command=command, timeout_s=timeout_s)
        return self._follow(self._number, timeout_s)

    def _follow(self, number: int, timeout_s: float) -> Generator[str, None, Answer]:
        text = ""
        while True:
            line = self._lines.next(timeout_s * SLOWEST)
            if line.get("number") != number:
                continue
            if "code" in line:
                return Answer(line["code"], text, line["uptime_s"])
            text += line["text"]
            yield line["text"]

    def run(self, command: str, *, timeout_s: float = 300.0) -> Answer:
        """Runs a line of bash as root.

        Args:
            command: for bash.
            timeout_s: guest time; then it is killed, and the code is 124.

        Raises:
            BoxError: the guest no longer answers.
        """
        following = self._start(command, timeout_s=timeout_s)
        try:
            while True:
                next(following)
        except StopIteration as end:
            answer: Answer = end.value
            return answer
        except (TimeoutError, OSError) as error:
            raise BoxError(f"the guest did not answer {command[:80]!r} ({error}); see {self.log}") from error

    def put(self, file: Path) -> None:
        """Copies a small file into the guest's /root."""
        text = base64.b64encode(file.read_bytes()).decode()
        self.run(f"base64 -d > /root/{file.name} <<< {text}")

    def _monitor(self, *commands: dict[str, Any]) -> dict[str, Any]:
        """Sends commands to QEMU's monitor; the last one's answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self._folder / "monitor"))
            lines = Lines(connection.fileno())
            answer: dict[str, Any] = lines.next(MONITOR_S)
            for command in ({"execute": "qmp_capabilities"}, *commands):
                lines.send(**command)
                while not {"return", "error"} & set(answer := lines.next(MONITOR_S)):
                    pass
                if "error" in answer:
                    raise BoxError(f"QEMU refuses {command}: {answer['error']}")
            return answer

    def _wait_until(self, wanted: str, *not_yet: str) -> None:
        end = time.monotonic() + BOOT_S
        while (status := self._monitor({"execute": "query-status"})["return"]["status"]) != wanted:
            if status not in not_yet or time.monotonic() > end or self._process.poll() is not None:
                raise BoxError(f"the machine is {status}, expected {wanted}: {self._said()}")
            time.sleep(0.1)

    def save(self, place: Path) -> None:
        """Stops the machine for good and keeps its memory in `place`; its disks stay as they are."""
        goal = {"uri": f"exec:cat > {shlex.quote(str(place))}"}
        self._monitor({"execute": "stop"}, {"execute": "migrate", "arguments": goal})
        self._wait_until("postmigrate", "paused", "finish-migrate")
        self._monitor({"execute": "quit"})
        self._process.wait(BOOT_S)
        self.cut()

    def reboot(self) -> None:
        """As `systemctl reboot` does it."""
        self._lines.send(number=0, command="systemctl reboot", timeout_s=60)
        self.wait_for_boot()

    def power_off(self) -> None:
        """As `systemctl poweroff` does it; then the disks are at rest."""
        self._lines.send(number=0, command="systemctl poweroff", timeout_s=60)
        try:
            self._process.wait(BOOT_S)
        except subprocess.TimeoutExpired as error:
            raise BoxError(f"the guest did not power off; see {self.log}") from error
        finally:
            self.cut()

    def cut(self) -> None:
        """Takes the power away: SIGKILL. Twice is fine."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        self._socket.close()
        self._errors.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *reason: object) -> None:
        self.cut()
