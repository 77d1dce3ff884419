"""Fakes that keep the real interfaces and record what happened: for tests, and for trying an application at a desk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.files import Closing
from fkp_edge.core.observation import Frame

__all__ = ["FakeCamera", "FakePicamera2", "FakeVideoCapture"]


class FakeCamera(Closing):
    """Plays given frames or raises given errors, and records what was asked of it."""

    def __init__(self, frames: Iterable[Frame | Exception], *, live: bool = False, name: str = "fake") -> None:
        self.name = name
        self.live = live
        self.reads = 0
        self.closed = False
        self._frames: Iterator[Frame | Exception] = iter(frames)

    def read(self) -> Frame | None:
        """The next given frame; raises it where it is an error; None after the last."""
        self.reads += 1
        item = None if self.closed else next(self._frames, None)
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        """Ends the frames."""
        self.closed = True

    def __repr__(self) -> str:
        return f"FakeCamera({self.name!r}, {'closed' if self.closed else 'open'}, reads={self.reads})"


class FakeVideoCapture:
    """Stands in for the `cv2.VideoCapture` of a V4L2 camera: gives colour, and no picture once it is unplugged.

    Written from OpenCV's manual, not recorded from hardware.
    """

    def __init__(
        self,
        pictures: Iterable[NDArray[np.uint8]],
        *,
        opened: bool = True,
        rates: Mapping[str, float] | None = None,
        size: tuple[int, int] | None = None,
        sizes: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        """Gives `pictures` (H, W), one a read, then none.

        Args:
            pictures: what it sees.
            opened: False: another program holds the camera.
            rates: frames a second by pixel format, such as MJPG; others are refused. By default what is asked for.
            size: width and height that it says it gives; by default what is asked for.
            sizes: likewise by pixel format.
        """
        self.asked: dict[int, float] = {}
        """Properties set, by OpenCV's number."""
        self.released = 0
        self._pictures = iter(pictures)
        self._opened = opened
        self._rates = rates
        self._size = size
        self._sizes = sizes or {}
        self._format = next(iter(rates), "") if rates else ""

    def isOpened(self) -> bool:  # noqa: N802 - OpenCV's name
        """As told."""
        return self._opened

    def set(self, number: int, value: float) -> bool:
        """Notes the property; cameras may refuse any."""
        self.asked[number] = value
        if number == cv2.CAP_PROP_FOURCC:
            name = int(value).to_bytes(4, "little").decode()
            self._format = name if self._rates is None or name in self._rates else self._format
        return False

    def get(self, number: int) -> float:
        """The property that it has in fact."""
        if number == cv2.CAP_PROP_FOURCC:
            return int.from_bytes(self._format.encode(), "little")
        if number == cv2.CAP_PROP_FPS and self._rates is not None:
            return min(self._rates[self._format], self.asked.get(number, 1000.0))
        sides = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)
        size = self._sizes.get(self._format, self._size)
        return size[sides.index(number)] if size and number in sides else self.asked.get(number, 0.0)

    def read(self) -> tuple[bool, NDArray[np.uint8] | None]:
        """Whether there is a picture, and it (H, W, 3)."""
        picture = next(self._pictures, None)
        return picture is not None, None if picture is None else np.stack([picture] * 3, axis=2)

    def release(self) -> None:
        """Notes the call."""
        self.released += 1


class FakePicamera2:
    """Stands in for a started-from-scratch `Picamera2`: YUV420 requests whose rows are padded to a stride.

    Written from picamera2's manual and source, not recorded from hardware.
    """

    def __init__(
        self,
        pictures: Iterable[NDArray[np.uint8]],
        *,
        start_error: Exception | None = None,
        gives: str = "YUV420",
        stride: int = 64,
        sensor: tuple[int, int] | None = None,
        model: str | None = None,
        stamp_ns: int = 1_234_567_890,
    ) -> None:
        """Gives `pictures` (H, W) in the format `gives`, one a request, and times out after the last.

        Args:
            pictures: what its smallest stream shows.
            start_error: what `start` raises.
            gives: the format of each stream, whatever was asked for.
            stride: rows are padded to a multiple of this: 64 on a Pi 4, 128 on a Pi 5.
            sensor: width and height of the whole sensor; None where the driver does not say.
            model: libcamera's name of the sensor.
            stamp_ns: when the sensor saw each picture, as it says.
        """
        said = {"PixelArraySize": sensor, "Model": model}
        self.camera_properties: dict[str, Any] = {key: value for key, value in said.items() if value is not None}
        self.calls: list[str] = []
        self.held = 0
        """Requests given and not released."""
        self._pictures = iter(pictures)
        self._start_error = start_error
        self._gives = gives
        self._stride = stride
        self.stamp_ns = stamp_ns
        self._configuration: dict[str, Any] = {}

    def create_video_configuration(self, **wanted: Any) -> dict[str, Any]:
        """The configuration as asked for."""
        return wanted

    def configure(self, configuration: dict[str, Any]) -> None:
        """Takes the configuration, its size made even as libcamera does."""
        self._configuration = dict(configuration)
        for name in {"main", "lores"} & configuration.keys():
            width, height = configuration[name]["size"]
            even = (width - width % 2, height - height % 2)
            self._configuration[name] = configuration[name] | {"size": even, "format": self._gives}

    def camera_configuration(self) -> dict[str, Any]:
        """What was configured in fact."""
        return self._configuration

    def start(self) -> None:
        """Starts, or fails as told."""
        self.calls.append("start")
        if self._start_error is not None:
            raise self._start_error

    def capture_request(self, *, wait: bool) -> str:
        """A job to wait for."""
        assert not wait, "a source must not wait without a time-out"
        return "job"

    def wait(self, job: str, timeout: float) -> _FakeRequest:
        """The next request."""
        assert job == "job"
        assert timeout > 0
        picture = next(self._pictures, None)
        if picture is None:
            raise TimeoutError(f"no request within {timeout} s")
        self.held += 1
        return _FakeRequest(self, picture, "lores" if "lores" in self._configuration else "main", self._stride)

    def cancel_all_and_flush(self) -> None:
        """Notes the call."""
        self.calls.append("cancel_all_and_flush")

    def stop(self) -> None:
        """Notes the call."""
        self.calls.append("stop")

    def close(self) -> None:
        """Notes the call."""
        self.calls.append("close")


class _FakeRequest:
    def __init__(self, camera: FakePicamera2, picture: NDArray[np.uint8], name: str, stride: int) -> None:
        self._camera = camera
        self._picture = picture
        self._name = name
        self._stride = stride

    def make_array(self, name: str) -> NDArray[np.uint8]:
        """The planes one below the other, rows padded with 255 to the stride."""
        assert name == self._name
        height, width = self._picture.shape
        stride = -(-width // self._stride) * self._stride
        planes = np.full((height * 3 // 2, stride), 255, np.uint8)
        planes[:height, :width] = self._picture
        return planes

    def get_metadata(self) -> dict[str, Any]:
        """When the sensor saw it."""
        return {"SensorTimestamp": self._camera.stamp_ns}

    def release(self) -> None:
        """Gives the buffer back; its pixels are then anybody's."""
        self._picture[:] = 0
        self._camera.held -= 1
