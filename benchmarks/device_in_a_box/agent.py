"""Runs inside the virtual machine: shell commands that come over a virtio port, their output and exit code back.

    python3 agent.py /dev/virtio-ports/box

A line in is JSON `{"number", "command", "timeout_s"}`. Lines out: first, at each start, `{"hello": BOOT_ID}`; for each
command `{"number", "text"}` as it prints, then `{"number", "code", "uptime_s"}`. It needs nothing but Python.
"""

import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

TIMED_OUT = 124
"""As timeout(1) has it."""


class Port:
    """Lines in and out of a character device."""

    def __init__(self, path):
        while not Path(path).exists():  # its driver comes when udev sees the device
            time.sleep(0.1)
        self._handle = os.open(path, os.O_RDWR)
        self._read = b""

    def line(self):
        """The next line; waits for the host, who may come and go."""
        while b"\n" not in self._read:
            piece = os.read(self._handle, 65536)
            if not piece:  # nobody is connected
                time.sleep(0.05)
            self._read += piece
        line, self._read = self._read.split(b"\n", 1)
        return line

    def send(self, **message):
        left = json.dumps(message).encode() + b"\n"
        while left:
            left = left[os.write(self._handle, left) :]


def uptime_s():
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def run(port, number, command, timeout_s):
    end = time.monotonic() + timeout_s
    process = subprocess.Popen(
        ["/bin/bash", "-c", command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    code = None
    while code is None:
        ready, _, _ = select.select([process.stdout], [], [], max(0.0, end - time.monotonic()))
        if not ready:
            os.killpg(process.pid, signal.SIGKILL)
            code = TIMED_OUT
        elif piece := os.read(process.stdout.fileno(), 65536):
            port.send(number=number, text=piece.decode(errors="replace"))
        else:
            code = process.wait()
    port.send(number=number, code=code, uptime_s=uptime_s())


def main(path):
    port = Port(path)
    port.send(hello=Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    while True:
        asked = json.loads(port.line())
        run(port, asked["number"], asked["command"], asked["timeout_s"])


if __name__ == "__main__":
    main(sys.argv[1])
