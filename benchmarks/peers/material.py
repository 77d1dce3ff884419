"""What every peer is shown: videos and photographs, decoded once into files of raw pixels that stay on this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Box
from fkp_edge.core.keypoints import FKP15, Points, from_ibug68
from fkp_edge.data import load_one, read_picture, read_scenes
from fkp_edge.device.sources import DemoSource
from fkp_edge.errors import InputError

CHIPS = ("val/lfpw", "val/helen", "val/ytf", "test/afw", "test/ytf")
SCENES = "test/scenes"
DEMO_NS = 33_333_333


def check(data: Path) -> None:
    """Before anything is installed: `data` has all that is measured.

    Raises:
        InputError: a folder is missing.
    """
    missing = [name for name in (*CHIPS, SCENES, "clips") if not (data / name).is_dir()]
    if missing:
        raise InputError(f"{data} has no {', '.join(missing)}; expected the folders val, test and clips")


@dataclass(frozen=True, eq=False)
class Video:
    """Frames of one size."""

    name: str
    stem: Path
    """Of NAME.grey.npy, and NAME.rgb.npy where the video has colour."""
    frames: int
    size: tuple[int, int]
    """Width, height."""
    frame_ns: int
    truth: tuple[Points | None, ...] = ()
    """True points (15, 2) of each frame, where they are known."""

    def job(self) -> dict[str, object]:
        """What a worker needs of it."""
        return {"pictures": str(self.stem), "video": True, "frame_ns": self.frame_ns, "most": 1}


@dataclass(frozen=True, eq=False)
class Photographs:
    """Pictures with labelled faces."""

    name: str
    file: Path
    faces: tuple[tuple[Points, ...], ...]
    """For each picture its labelled faces, (15, 2) each."""
    ignore: tuple[tuple[Box, ...], ...]
    """For each picture boxes of faces that nobody annotated."""
    people: tuple[int, ...] = ()
    """For each face the number of its person; empty where each is of its own."""

    def job(self) -> dict[str, object]:
        """What a worker needs of it."""
        return {"pictures": str(self.file), "video": False, "most": 10}


def write_demo(folder: Path, frames: int | None = None) -> Video:
    """The bundled demo, 640x480 grey, its first `frames`."""
    source = DemoSource(pace=False)
    shown = []
    while (frame := source.read()) is not None and len(shown) != frames:
        shown.append(frame)
    pixels = np.stack([frame.grey for frame in shown])
    np.save(folder / "demo.grey.npy", pixels)
    size = (pixels.shape[2], pixels.shape[1])
    return Video("demo", folder / "demo", len(shown), size, DEMO_NS, tuple(frame.truth for frame in shown))


def write_clip(path: Path, folder: Path) -> Video:
    """A video file as it is, in colour and in grey.

    Raises:
        InputError: it cannot be read.
    """
    capture = cv2.VideoCapture(str(path))
    rate, frames = capture.get(cv2.CAP_PROP_FPS), []
    while (read := capture.read())[0]:
        frames.append(read[1])
    capture.release()
    if not frames:
        raise InputError(f"{path} cannot be read as a video; expected an MP4 or the like")
    np.save(folder / f"{path.stem}.rgb.npy", np.stack([cv2.cvtColor(f, cv2.COLOR_BGR2RGB) for f in frames]))
    np.save(folder / f"{path.stem}.grey.npy", np.stack([cv2.cvtColor(f, cv2.COLOR_BGR2GRAY) for f in frames]))
    height, width = frames[0].shape[:2]
    return Video(path.stem, folder / path.stem, len(frames), (width, height), round(1e9 / rate))


def write_chips(path: Path, folder: Path) -> Photographs:
    """The pictures of a folder of .pts files, whole: each is a region about 2.4 times the size of its face."""
    faces = load_one(path, FKP15)
    file = _write(folder / f"{path.parent.name}-{path.name}.npz", list(faces.images))
    people = tuple(map(int, faces.subject))
    return Photographs(faces.name, file, tuple((points,) for points in faces.points), ((),) * len(faces), people)


def write_scenes(path: Path, folder: Path) -> Photographs:
    """Whole photographs, in colour and in grey."""
    scenes = read_scenes(path)
    color = [cv2.cvtColor(read_picture(scene.path, color=True), cv2.COLOR_BGR2RGB) for scene in scenes]
    file = _write(folder / "scenes.npz", [read_picture(scene.path) for scene in scenes], color)
    faces = tuple(tuple(from_ibug68(face, FKP15) for face in scene.faces) for scene in scenes)
    return Photographs("scenes", file, faces, tuple(scene.ignore for scene in scenes))


def _write(file: Path, grey: list[NDArray[np.uint8]], rgb: list[NDArray[np.uint8]] | None = None) -> Path:
    pixels = {f"grey{index}": picture for index, picture in enumerate(grey)}
    pixels |= {f"rgb{index}": picture for index, picture in enumerate(rgb or [])}
    np.savez(file, **pixels)
    return file
