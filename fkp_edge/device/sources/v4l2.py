"""USB and other V4L2 cameras through OpenCV, and what camera devices this machine has."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
import time
from pathlib import Path
from typing import Any

import cv2

from fkp_edge.core.observation import Frame
from fkp_edge.errors import SourceError

__all__ = ["V4L2Source", "lasting_name", "list_cameras", "pi_camera_nodes"]

QUERYCAP = 0x80685600
"""ioctl VIDIOC_QUERYCAP, linux/videodev2.h."""
VIDEO_CAPTURE = 0x1
YUYV_BYTES = 2
"""A pixel of raw pictures, as cameras send them."""
USB2_BYTES_S = 20e6
"""What a camera gets through USB 2 beside others: 640x480 at 30 frames/s fits, 1280x720 does not."""
# Drivers of the Raspberry Pi's own blocks: sensors come through libcamera, the rest are codecs and scalers.
PI_SENSOR_DRIVERS = {"unicam", "rp1-cfe", "bm2835 mmal"}
PI_OTHER_DRIVERS = {"bcm2835-codec", "bcm2835-isp", "rpivid", "pispbe", "rpi-hevc-dec"}


def _driver(node: Path) -> str | None:
    """The driver of a video node that captures; None for what does not.

    A node that may not be opened or is busy is taken for a camera: the error of opening it is the one to show.
    """
    try:
        handle = os.open(node, os.O_RDWR | os.O_NONBLOCK)
    except OSError as error:
        return "unknown" if error.errno in (errno.EACCES, errno.EPERM, errno.EBUSY) else None
    try:
        answer = fcntl.ioctl(handle, QUERYCAP, bytes(104))
    except OSError:
        return None
    finally:
        os.close(handle)
    driver = answer[:16].split(b"\0")[0].decode(errors="replace")
    (capabilities,) = struct.unpack_from("<I", answer, 88)  # device_caps: of this node, not of the whole device
    return driver if capabilities & VIDEO_CAPTURE else None


def _nodes(folder: Path) -> list[tuple[int, Path]]:
    found = ((re.fullmatch(r"video(\d+)", path.name), path) for path in folder.glob("video*"))
    return sorted((int(match[1]), path) for match, path in found if match)


def list_cameras(folder: Path = Path("/dev")) -> list[int]:
    """Numbers N of the /dev/videoN that are cameras to use through V4L2."""
    skipped = PI_SENSOR_DRIVERS | PI_OTHER_DRIVERS
    return [n for n, node in _nodes(folder) if (driver := _driver(node)) is not None and driver not in skipped]


def pi_camera_nodes(folder: Path = Path("/dev")) -> list[Path]:
    """Video nodes of a Pi camera's sensor: it is there, and wants picamera2."""
    return [node for _, node in _nodes(folder) if _driver(node) in PI_SENSOR_DRIVERS]


def lasting_name(index: int, folder: Path = Path("/dev")) -> str:
    """The name under which a camera is found again that comes back under another number; else `v4l2:N`.

    udev names cameras by what they are (maker, product, serial number) and by their port. The first finds a camera in
    any port; of two alike without serial numbers only one has it, and the other is found by its port.
    """
    node = folder / f"video{index}"
    for kind in ("by-id", "by-path"):
        for link in sorted(folder.glob(f"v4l/{kind}/*")):
            if link.resolve() == node.resolve():
                return str(link)
    return f"v4l2:{index}"


class V4L2Source:
    """A V4L2 camera, newest frame first."""

    live = True

    def __init__(
        self, index: int, *, size: tuple[int, int] = (640, 480), rate: float = 30.0, capture: Any = None
    ) -> None:
        """Opens /dev/video`index` near `size` (width, height) and `rate` frames a second.

        Args:
            index: N of /dev/videoN.
            size: the camera may give something near.
            rate: likewise.
            capture: a cv2.VideoCapture to use instead of opening the device.

        Raises:
            SourceError: the device is absent, or cannot be opened or read.
        """
        self.name = f"v4l2:{index}"
        self._node = Path(f"/dev/video{index}")
        if capture is None and not self._node.exists():
            seen = ", ".join(f"v4l2:{n}" for n in list_cameras()) or "no camera"
            raise SourceError(f"{self._node} does not exist; plug the camera in, or name another; there is {seen}")
        self._capture = capture if capture is not None else cv2.VideoCapture(index, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise SourceError(
                f"{self._node} cannot be opened: another program holds it (fuser -v {self._node}), it is no camera, "
                "or you are not in the group video (sudo usermod -aG video $USER, then log in again)"
            )
        self.gives = self._negotiate(size, rate)
        """What the camera says it gives: size, pixel format, frames a second."""
        self._count = 0
        self._closed = False

    def _negotiate(self, size: tuple[int, int], rate: float) -> str:
        """Asks for raw pictures, for JPEG where those do not fit through USB 2, are small or slow; what is given."""
        raw_fits = size[0] * size[1] * YUYV_BYTES * rate <= USB2_BYTES_S
        self._ask("YUYV" if raw_fits else "MJPG", size, rate)
        if raw_fits and 0 < self._capture.get(cv2.CAP_PROP_FPS) < 0.9 * rate:  # 0 where the driver does not say
            self._ask("MJPG", size, rate)
        elif raw_fits and (raw := self._pixels()) < size[0] * size[1]:
            self._ask("MJPG", size, rate)
            if self._pixels() <= raw:
                self._ask("YUYV", size, rate)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        width, height = self._size()
        kind = int(self._capture.get(cv2.CAP_PROP_FOURCC)).to_bytes(4, "little", signed=True).decode("ascii", "replace")
        given = self._capture.get(cv2.CAP_PROP_FPS)
        as_asked = (width, height) == size and not 0 < given < 0.9 * rate
        speed = f" at {given:g} frames/s" if given > 0 else ""
        asked = "" if as_asked else f", asked for {size[0]}x{size[1]} at {rate:g}"
        return f"{width}x{height} {kind.strip(chr(0)) or 'pictures'}{speed}{asked}"

    def _size(self) -> tuple[int, int]:
        return int(self._capture.get(cv2.CAP_PROP_FRAME_WIDTH)), int(self._capture.get(cv2.CAP_PROP_FRAME_HEIGHT))

    def _pixels(self) -> int:
        width, height = self._size()
        return width * height

    def _ask(self, kind: str, size: tuple[int, int], rate: float) -> None:
        """The format first: sizes and rates depend on it."""
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*kind))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, size[0])
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size[1])
        self._capture.set(cv2.CAP_PROP_FPS, rate)

    def read(self) -> Frame | None:
        """The next frame as grey; None once closed.

        Raises:
            SourceError: the camera gives no more pictures.
        """
        if self._closed:
            return None
        good, picture = self._capture.read()
        captured_ns = time.monotonic_ns()
        if not good:
            raise SourceError(
                f"{self._node} gave no picture after {self._count}: it was unplugged or another program holds it "
                f"(fuser -v {self._node})"
            )
        self._count += 1
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        return Frame(grey, captured_ns, self._count - 1)  # type: ignore[arg-type]

    def close(self) -> None:
        """Frees the camera."""
        if not self._closed:
            self._closed = True
            self._capture.release()
