"""The Raspberry Pi camera through picamera2 (https://github.com/raspberrypi/picamera2), which comes from apt."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fkp_edge.core.observation import Frame
from fkp_edge.errors import MissingPartError, SourceError

__all__ = ["PicameraSource", "picamera_available"]

TIMEOUT_S = 2.0
INSTALL = "sudo apt install python3-picamera2; in a clone also make clean-venv run, so that .venv sees it"


def _picamera2() -> Any:
    try:
        from picamera2 import Picamera2
    except ImportError as error:
        raise MissingPartError(f"no picamera2 ({error}); it reads the Pi camera: {INSTALL}") from error
    except Exception as error:  # its compiled parts, built for another NumPy, raise ValueError and worse
        raise MissingPartError(
            f"picamera2 cannot be loaded ({error}); where it was built for NumPy 1: .venv/bin/pip install 'numpy<2'"
        ) from error
    return Picamera2


def _sensors(camera_class: Any) -> list[int]:
    """Numbers of the cameras on ribbon cables; libcamera lists USB cameras too, which V4L2 serves better."""
    return [info["Num"] for info in camera_class.global_camera_info() if "/usb" not in str(info.get("Id", ""))]


def picamera_available() -> bool:
    """True where picamera2 is installed and libcamera sees a Pi camera.

    Raises:
        MissingPartError: picamera2 is installed, but cannot be loaded.
    """
    try:
        camera_class = _picamera2()
    except MissingPartError as error:
        if isinstance(error.__cause__, ImportError):
            return False
        raise
    return bool(_sensors(camera_class))


class PicameraSource:
    """The Pi camera's grey plane."""

    name = "picamera"
    live = True

    def __init__(
        self,
        camera: Any = None,
        *,
        size: tuple[int, int] = (640, 480),
        rate: float = 30.0,
        clocks: Callable[[], tuple[int, int]] | None = None,
    ) -> None:
        """Starts the camera near `size` (width, height) at `rate` frames a second.

        Args:
            camera: a Picamera2 object to use instead of opening the first camera.
            size: libcamera may align it; what it gives is read back.
            rate: frames a second.
            clocks: the monotonic clock and the one since boot, ns, to use instead of the system's.

        Raises:
            MissingPartError: picamera2 is not installed.
            SourceError: there is no camera, or another program holds it.
        """
        self._camera = camera if camera is not None else _open_camera()
        self._clocks = clocks or _system_clocks
        duration_us = round(1e6 / rate)
        try:
            streams = _streams(size, self._camera.camera_properties.get("PixelArraySize"))
            wanted = self._camera.create_video_configuration(
                **streams,
                controls={"FrameDurationLimits": (duration_us, duration_us)},
                buffer_count=4,
                queue=False,
            )
            self._camera.configure(wanted)
            self._stream = "lores" if "lores" in streams else "main"
            # libcamera aligns sizes, and pads each row to its stride: only what it says back holds
            given = self._camera.camera_configuration()[self._stream]
            self._size: tuple[int, int] = tuple(given["size"])
            self.field_of_view = _field_of_view(self._camera.camera_properties, self._size)
            """Degrees across the picture's width; None where the module is not known, or takes any lens."""
            if given["format"] not in GREY_FIRST:
                raise RuntimeError(f"it gives {given['format']}, expected one of {', '.join(GREY_FIRST)}")
            self.gives = "{}x{} {} at {:g} frames/s".format(*self._size, given["format"], rate)
            """What the camera was set to: size, pixel format, frames a second."""
            self._camera.start()
        except (RuntimeError, OSError) as error:
            self._camera.close()
            raise SourceError(f"the Pi camera does not start: {error}; see which program uses it: {HOLDERS}") from error
        self._count = 0
        self._closed = False

    def read(self) -> Frame | None:
        """The next frame's grey plane; None once closed.

        Raises:
            SourceError: no frame came within 2 s.
        """
        if self._closed:
            return None
        job = self._camera.capture_request(wait=False)
        try:
            request = self._camera.wait(job, timeout=TIMEOUT_S)
        except TimeoutError as error:
            self._camera.cancel_all_and_flush()  # or close() waits for the lost job for ever
            raise SourceError(
                f"the Pi camera gave no frame for {TIMEOUT_S:g} s after {self._count}; check its ribbon cable, and "
                "that rpicam-hello shows a picture"
            ) from error
        except (RuntimeError, OSError) as error:
            raise SourceError(f"the Pi camera failed after {self._count} frames: {error}; start again") from error
        try:
            width, height = self._size
            planes = request.make_array(self._stream)
            if planes.ndim != 2 or planes.shape[0] < height or planes.shape[1] < width:
                raise SourceError(
                    f"the Pi camera gave an array of {planes.shape} after {self._count} frames, expected rows for "
                    f"{width}x{height}; another program may have configured it"
                )
            grey = np.array(planes[:height, :width], np.uint8, order="C", copy=True)
            stamp_ns = int(request.get_metadata().get("SensorTimestamp", 0))
        finally:
            request.release()  # a request held is a buffer lost
        self._count += 1
        monotonic_ns, boot_ns = self._clocks()
        captured_ns = _as_monotonic(stamp_ns, monotonic_ns, boot_ns) if stamp_ns else monotonic_ns
        return Frame(grey, captured_ns, self._count - 1)

    def close(self) -> None:
        """Stops and frees the camera."""
        if not self._closed:
            self._closed = True
            try:
                self._camera.stop()
            finally:  # one that was unplugged does not stop, and would stay taken
                self._camera.close()


def _system_clocks() -> tuple[int, int]:
    return time.monotonic_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def _as_monotonic(stamp_ns: int, monotonic_ns: int, boot_ns: int) -> int:
    """`stamp_ns` on the monotonic clock, given what it and the clock since boot say now.

    libcamera documents SensorTimestamp as time since boot, which counts suspends; the Pi's drivers stamp frames with
    the monotonic clock, which does not. A time that is yet to come is of the other clock.
    """
    return stamp_ns if stamp_ns <= monotonic_ns else stamp_ns - (boot_ns - monotonic_ns)


def _streams(size: tuple[int, int], sensor: tuple[int, int] | None) -> dict[str, dict[str, Any]]:
    """What to ask for: `size` as the small stream beside one of half the `sensor`, both (width, height).

    Asked for 640x480 alone, many sensors cut that out of their middle: a telephoto view that loses faces at the sides.
    Half the sensor is what they read whole, two by two pixels at once. The main stream has the shape of the small one,
    since one crop serves both.
    """
    small = {"size": size, "format": "YUV420"}
    if sensor is None:
        return {"main": small}
    zoom = min(sensor[0] / 2 / size[0], sensor[1] / 2 / size[1])
    if zoom <= 1:
        return {"main": small}
    width, height = (round(side * zoom / 2) * 2 for side in size)
    return {"main": {"size": (width, height), "format": "YUV420"}, "lores": small}


FIELDS_OF_VIEW = {"ov5647": 53.5, "imx219": 62.2, "imx708": 66.0, "imx708_wide": 102.0, "imx500": 66.3}
"""Degrees across the whole sensor, by libcamera's name of it: Camera Modules 1, 2, 3 and 3 Wide, and the AI Camera
(https://www.raspberrypi.com/documentation/accessories/camera.html). The others take any lens."""


def _field_of_view(properties: dict[str, Any], size: tuple[int, int]) -> float | None:
    """What a picture of `size` (width, height) shows across; one that is narrower than the sensor lacks its sides."""
    degrees = FIELDS_OF_VIEW.get(str(properties.get("Model", "")).removesuffix("_noir"))
    sensor = properties.get("PixelArraySize")
    if degrees is None or sensor is None:
        return degrees
    shown = min(1.0, size[0] / size[1] * sensor[1] / sensor[0])
    return round(math.degrees(2 * math.atan(math.tan(math.radians(degrees) / 2) * shown)), 1)


GREY_FIRST = ("YUV420", "YVU420", "NV12", "NV21")
"""Formats whose array begins with the grey plane, rows padded to the stride or not."""
HOLDERS = "fuser -v /dev/media* /dev/video*"


def _open_camera() -> Any:
    camera_class = _picamera2()
    sensors = _sensors(camera_class)
    if not sensors:
        raise SourceError("libcamera sees no Pi camera; check the ribbon cable, then rpicam-hello --list-cameras")
    try:
        return camera_class(sensors[0])
    except (RuntimeError, OSError, IndexError) as error:
        raise SourceError(f"the Pi camera cannot be opened: {error}; another program may hold it: {HOLDERS}") from error
