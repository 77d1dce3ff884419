"""Where frames come from. `open_source` turns what a user writes into a source."""

from __future__ import annotations

import difflib
import re
from pathlib import Path

from fkp_edge.device.source_names import ALIASES, NAMES, canonical_name
from fkp_edge.device.sources.base import CameraSettings, LoopedSource, Source
from fkp_edge.device.sources.demo import DemoSource
from fkp_edge.device.sources.fakes import FakeCamera, FakePicamera2
from fkp_edge.device.sources.files import SCHEMES, FolderSource, UrlSource, VideoSource, without_password
from fkp_edge.device.sources.picamera import INSTALL, PicameraSource, picamera_available
from fkp_edge.device.sources.pipe import PipeSource, parse_pipe
from fkp_edge.device.sources.v4l2 import V4L2Source, lasting_name, list_cameras, pi_camera_nodes
from fkp_edge.errors import InputError, SourceError

__all__ = [
    "CameraSettings",
    "DemoSource",
    "FakeCamera",
    "FakePicamera2",
    "FolderSource",
    "LoopedSource",
    "PicameraSource",
    "PipeSource",
    "Source",
    "UrlSource",
    "V4L2Source",
    "VideoSource",
    "check_source",
    "field_of_view",
    "lasting_source",
    "open_source",
    "reopens",
    "resolve_auto",
    "resolve_source",
    "what_it_gives",
    "without_password",
]

PIPES = ("gray", "yuv420")
LASTING = "/dev/v4l/"
"""Where udev keeps the names of cameras that last, by port or serial number."""


def resolve_auto() -> str:
    """What `auto` means on this machine: picamera, v4l2:N, or demo where no camera device exists.

    Raises:
        SourceError: a Pi camera is there, but picamera2 is not.
    """
    if picamera_available():
        return "picamera"
    if cameras := list_cameras():
        return f"v4l2:{cameras[0]}"
    if nodes := pi_camera_nodes():
        raise SourceError(f"a Pi camera is there ({nodes[0]}), but picamera2 cannot be imported; {INSTALL}")
    return "demo"


def resolve_source(text: str) -> str:
    """The source that a person means: `0` and /dev/video0 are v4l2:0, `webcam` and `usb` the first V4L2 camera.

    Raises:
        SourceError: `auto` finds a Pi camera without picamera2, or there is no V4L2 camera.
    """
    name = canonical_name(text)
    if name == "auto":
        return resolve_auto()
    if name == "usb":
        cameras = list_cameras()
        if not cameras:
            raise SourceError(f"source {text!r}: there is no USB camera; plug one in, or name picamera or demo")
        return f"v4l2:{cameras[0]}"
    return name


def lasting_source(text: str) -> str:
    """`text`, or of v4l2:N the name by which that camera is found when it comes back under another number."""
    return lasting_name(int(text.removeprefix("v4l2:"))) if re.fullmatch(r"v4l2:\d{1,3}", text) else text


def reopens(source: Source) -> bool:
    """True for a camera, which may be opened again; a pipe's writer is gone for good, and the demo has its end."""
    return source.live and not isinstance(source, PipeSource | DemoSource | LoopedSource)


def what_it_gives(source: Source) -> str:
    """Size, format and rate of a camera as it says itself; empty for other sources."""
    return source.gives if isinstance(source, PicameraSource | V4L2Source) else ""


def field_of_view(source: Source) -> float | None:
    """Degrees across the picture's width, where the camera says what it is; None for other sources."""
    return source.field_of_view if isinstance(source, PicameraSource) else None


def check_source(text: str) -> None:
    """Refuses what names no source. Opens nothing: a camera may be absent, and a video damaged.

    Raises:
        InputError: see `open_source`.
    """
    text = canonical_name(text)
    kind = text.split(":")[0]
    if kind == "v4l2":
        if not re.fullmatch(r"v4l2:\d{1,3}", text):
            raise InputError(f"source {text!r} has no device number; expected v4l2:0 for /dev/video0")
    elif kind in PIPES:
        _, _, pipe = parse_pipe(text)
        if pipe is not None and not pipe.exists():
            raise InputError(f"source {text!r}: {pipe} does not exist; make it with mkfifo")
    elif text not in NAMES and not _is_url(text) and not text.startswith(LASTING):
        _check_path(text)


def open_source(text: str, *, pace: bool = True, camera: CameraSettings | None = None) -> Source:
    """The source that `text` names: auto, picamera, usb, v4l2:N, demo, a URL, a pipe, a video file or a folder.

    Args:
        text: as on the command line; see `resolve_source`.
        pace: recordings and the demo run at their own speed; without, as fast as they are read.
        camera: what to ask a camera for.

    Raises:
        InputError: `text` names nothing, or a folder without pictures.
        SourceError: the camera or video cannot be opened.
    """
    check_source(text)
    text = resolve_source(text)
    camera = camera or CameraSettings()
    if text.startswith(LASTING):
        raise SourceError(f"{text} does not exist; plug the camera in, or name one that is there: `ls {LASTING}*`")
    if text == "demo":
        return DemoSource(pace=pace)
    if text == "picamera":
        return PicameraSource(size=camera.size, rate=camera.rate)
    if text.startswith("v4l2:"):
        return V4L2Source(int(text.removeprefix("v4l2:")), size=camera.size, rate=camera.rate)
    if text.split(":")[0] in PIPES:
        return PipeSource(text)
    if _is_url(text):
        return UrlSource(text, pace=pace)
    path = Path(text)
    return FolderSource(path, pace=pace) if path.is_dir() else VideoSource(path, pace=pace)


def _is_url(text: str) -> bool:
    return text.partition("://")[0].lower() in SCHEMES and "://" in text


def _check_path(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:  # OpenCV crashes on such a name
        raise InputError(f"source {text!r} is not UTF-8; rename the file") from None
    path = Path(text)
    if not text or not path.exists():
        near = difflib.get_close_matches(text.lower(), [*NAMES, *ALIASES], n=1, cutoff=0.7)
        raise InputError(
            f"source {without_password(text)!r} does not exist; expected auto, picamera, usb, v4l2:N, demo, a video "
            "file, a folder, a URL such as rtsp://HOST/PATH, or gray:WIDTHxHEIGHT for frames on standard input"
            f"{f'; did you mean {near[0]}?' if near else ''}"
        )
    if not path.is_file() and not path.is_dir():
        raise InputError(
            f"source {text!r} is no file but a device or pipe; expected v4l2:0 for a camera, or "
            f"gray:WIDTHxHEIGHT:{text} for raw frames from a pipe"
        )
