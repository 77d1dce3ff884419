"""A USB camera that plugs itself into this kernel: USB/IP on one side, pictures from a folder on the other.

    modprobe vhci-hcd; python3 usb_camera.py FOLDER [--mode-file /run/camera] [--port 0]

Runs inside the virtual machine, as root; the kernel's `uvcvideo` makes a /dev/videoN of it as of any camera. FOLDER has
`*.jpg` (640x480) and `*.yuyv` (320x240). The mode file may say, at any time: flow, stall (no picture comes any more),
short (pictures end in their middle), corrupt (bytes of theirs are wrong), noise (no picture at all). Ending the program
is unplugging the camera. It needs nothing but Python.

Video goes over a bulk endpoint, one picture a payload: USB Video Class 1.0, section 2.4.3; kernel:
Documentation/usb/usbip_protocol.rst.
"""

import argparse
import os
import random
import select
import socket
import struct
import time
from pathlib import Path

HEADER = struct.Struct(">5I28s")
SUBMIT, UNLINK, SUBMITTED, UNLINKED = 1, 2, 3, 4
EPIPE, ECONNRESET = -32, -104
HIGH_SPEED = 3
DEVICE_ID = 1 << 16 | 1
ENDPOINT = 1
INTERVALS = (333333, 666666)
"""30 and 15 frames a second, in 100 ns."""
SIZES = {1: (640, 480), 2: (320, 240)}
"""Of format 1, MJPEG, and 2, YUYV."""
MAX_PAYLOAD = 1 << 20
PROBE = struct.Struct("<HBBI5HII")
STRINGS = ("", "box", "camera in a box", "0001")
YUY2 = bytes.fromhex("5955593200001000800000aa00389b71")


def device_descriptor():
    return struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x200, 0xEF, 2, 1, 64, 0x1209, 1, 0x100, 1, 2, 3, 1)


def frame_descriptor(kind, width, height):
    size = width * height * 2
    body = struct.pack("<BBHHIII", 1, 0, width, height, size * 8 * 15, size * 8 * 30, size)
    body += struct.pack(f"<IB{len(INTERVALS)}I", INTERVALS[0], len(INTERVALS), *INTERVALS)
    return struct.pack("<BBB", 3 + len(body), 0x24, kind) + body


def configuration_descriptor():
    color = bytes((6, 0x24, 0x0D, 1, 1, 4))
    mjpeg = bytes((11, 0x24, 6, 1, 1, 1, 1, 0, 0, 0, 0)) + frame_descriptor(7, *SIZES[1]) + color
    raw = bytes((27, 0x24, 4, 2, 1)) + YUY2 + bytes((16, 1, 0, 0, 0, 0)) + frame_descriptor(5, *SIZES[2]) + color
    head = struct.pack(
        "<BBBBHBBBBBBBBB", 15, 0x24, 1, 2, 15 + len(mjpeg + raw), 0x80 | ENDPOINT, 0, 2, 0, 0, 0, 1, 0, 0
    )
    units = struct.pack("<BBBBHBBHHHB3B", 18, 0x24, 2, 1, 0x201, 0, 0, 0, 0, 0, 3, 0, 0, 0)
    units += struct.pack("<BBBBHBBB", 9, 0x24, 3, 2, 0x101, 0, 1, 0)
    control = struct.pack("<BBBHHIBB", 13, 0x24, 1, 0x100, 13 + len(units), 48000000, 1, 1) + units
    body = bytes((8, 0x0B, 0, 2, 0x0E, 3, 0, 0))
    body += bytes((9, 4, 0, 0, 0, 0x0E, 1, 0, 0)) + control
    body += bytes((9, 4, 1, 0, 1, 0x0E, 2, 0, 0)) + head + mjpeg + raw
    body += struct.pack("<BBBBHB", 7, 5, 0x80 | ENDPOINT, 2, 512, 0)
    return struct.pack("<BBHBBBBB", 9, 2, 9 + len(body), 2, 1, 0, 0x80, 50) + body


def string_descriptor(index):
    text = STRINGS[index].encode("utf-16-le") if index else struct.pack("<H", 0x409)
    return bytes((2 + len(text), 3)) + text


class Camera:
    """What the host asks for, and the pictures that it gets."""

    def __init__(self, folder, mode_file):
        self.pictures = {
            kind: [p.read_bytes() for p in sorted(folder.glob(f"*.{end}"))] for kind, end in ((1, "jpg"), (2, "yuyv"))
        }
        self.mode_file = mode_file
        self.format, self.interval = 1, INTERVALS[0]
        self.count, self.due, self.left = 0, time.monotonic(), b""

    def control(self, setup, data):
        """The answer to a request on endpoint 0; None refuses it."""
        kind, request, value, index, _ = struct.unpack("<BBHHH", setup)
        if kind == 0x80 and request == 6:
            what, number = value >> 8, value & 255
            if what == 3:
                return string_descriptor(number) if number < len(STRINGS) else None
            return {1: device_descriptor(), 2: configuration_descriptor()}.get(what)
        if kind & 0x60 == 0x20 and index & 255 == 1 and value >> 8 in (1, 2):
            return self.negotiate(request, data)
        if kind & 0x60 == 0x20:
            return None  # it has no controls
        return struct.pack("<H", 0) if kind & 0x80 else b""

    def negotiate(self, request, data):
        if request == 1:
            _, self.format, _, interval = struct.unpack_from("<HBBI", data)
            self.format = self.format if self.format in SIZES else 1
            self.interval = interval if interval in INTERVALS else INTERVALS[0]
            return b""
        width, height = SIZES[self.format]
        answer = PROBE.pack(1, self.format, 1, self.interval, 0, 0, 0, 0, 0, width * height * 2, MAX_PAYLOAD)
        return {0x85: struct.pack("<H", PROBE.size), 0x86: b"\3"}.get(request, answer)

    def mode(self):
        try:
            return self.mode_file.read_text().strip() or "flow"
        except OSError:
            return "flow"

    def next_payload(self):
        """The next picture behind its header, or nothing while none is due."""
        now, mode = time.monotonic(), self.mode()
        if now < self.due or mode == "stall":
            return b""
        self.due = max(self.due + self.interval / 1e7, now)
        pictures = self.pictures[self.format]
        turn = self.count % (2 * len(pictures) - 2 or 1)
        picture = bytearray(pictures[min(turn, 2 * len(pictures) - 2 - turn)])
        if mode == "short":
            del picture[len(picture) // 2 :]
        elif mode == "corrupt":
            for _ in range(len(picture) // 500):
                picture[random.randrange(len(picture))] = random.randrange(256)  # noqa: S311 - damage, no secret
        elif mode == "noise":
            picture = bytearray(random.randbytes(len(picture)))  # noqa: S311
        self.count += 1
        return bytes((2, 2 | self.count & 1)) + picture

    def fill(self, length):
        """Bytes for one transfer; None while there are none. A payload ends with a transfer that is not full."""
        if not self.left:
            payload = self.next_payload()
            if not payload:
                return None
            self.left = payload if len(payload) % length else payload + b"\0"
        piece, self.left = self.left[:length], self.left[length:]
        return piece


class Wire:
    """USB/IP: requests of the kernel in, answers out."""

    def __init__(self, connection, camera):
        self.connection, self.camera = connection, camera
        self.waiting = []
        """Transfers that wait for a picture: sequence number and length."""

    def exactly(self, count):
        data = b""
        while len(data) < count:
            piece = self.connection.recv(count - len(data))
            if not piece:
                raise SystemExit("the kernel unplugged the camera")
            data += piece
        return data

    def answer(self, command, number, status, data=b"", length=0):
        rest = struct.pack(">iI", status, len(data) or length)
        self.connection.sendall(HEADER.pack(command, number, 0, 0, 0, rest.ljust(28, b"\0")) + data)

    def request(self):
        command, number, _, inwards, endpoint, rest = HEADER.unpack(self.exactly(HEADER.size))
        if command == UNLINK:
            (other,) = struct.unpack_from(">I", rest)
            found = any(number == other for number, _ in self.waiting)
            self.waiting = [entry for entry in self.waiting if entry[0] != other]
            if not self.waiting:
                self.camera.left = b""
            self.answer(UNLINKED, number, ECONNRESET if found else 0)
            return
        (length,) = struct.unpack_from(">I", rest, 4)
        data = b"" if inwards else self.exactly(length)
        if endpoint == ENDPOINT:
            self.waiting.append((number, length))
            return
        found = self.camera.control(rest[20:28], data)
        if found is None:
            self.answer(SUBMITTED, number, EPIPE)
        else:
            self.answer(SUBMITTED, number, 0, found[:length] if inwards else b"", 0 if inwards else length)

    def serve(self):
        while True:
            ready, _, _ = select.select([self.connection], [], [], 0.005 if self.waiting else 1.0)
            if ready:
                self.request()
            while self.waiting and (piece := self.camera.fill(self.waiting[0][1])) is not None:
                self.answer(SUBMITTED, self.waiting.pop(0)[0], 0, piece)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mode-file", type=Path, default=Path("/run/camera"))
    parser.add_argument("--port", type=int, default=0)
    args = parser.parse_args()
    ours, kernels = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    attach = Path("/sys/devices/platform/vhci_hcd.0/attach")
    attach.write_text(f"{args.port} {kernels.fileno()} {DEVICE_ID} {HIGH_SPEED}")
    os.close(kernels.detach())  # the kernel has it
    Wire(ours, Camera(args.folder, args.mode_file)).serve()


if __name__ == "__main__":
    main()
