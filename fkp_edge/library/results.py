"""What the library gives: faces with named points, and the results that hold them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.drawing import draw_face
from fkp_edge.core.files import write_whole
from fkp_edge.core.geometry import Box
from fkp_edge.core.keypoints import Points, Schema
from fkp_edge.core.measures import Measures
from fkp_edge.core.observation import Face as SeenFace
from fkp_edge.core.observation import Position
from fkp_edge.data.pictures import PICTURE_SUFFIXES
from fkp_edge.errors import InputError
from fkp_edge.library.inputs import Colors, Picture, to_bgr

__all__ = ["Face", "Pose", "Result", "TrackResult", "as_face"]


class Pose(NamedTuple):
    """Where a head is turned, in degrees; all 0 facing the camera, NaN where the points do not tell.

    >>> import fkp_edge as fkp
    >>> pose = fkp.find(fkp.demo_picture())[0].pose
    >>> abs(pose.yaw) < 30
    True
    """

    yaw: float
    """Positive to the subject's left."""
    pitch: float
    """Positive up."""
    roll: float
    """Positive towards the subject's left shoulder."""


UNKNOWN = Pose(math.nan, math.nan, math.nan)


class Face(msgspec.Struct, frozen=True, eq=False):
    """One face: K named points in pixels of the picture, with a score, a box and the head's pose.

    `numpy.asarray(face)` is (K, 2); `face["nose_tip"]` one point; `len(face)` is K, 15 or 68.

    >>> import fkp_edge as fkp
    >>> import numpy as np
    >>> face = fkp.find(fkp.demo_picture())[0]
    >>> np.asarray(face).shape, len(face["nose_tip"])
    ((15, 2), 2)
    """

    id: int
    """From 1; stable while a `Tracker` follows the face, and never used again by it."""
    score: float
    """Probability that this is one well-framed face, 0 to 1; always 1 from a network without a score."""
    box: Box
    """x, y, width, height in pixels: the square that the points were read in."""
    points: Points
    """(K, 2) float32: x, y in pixels, integers at pixel centres, in the order of `names`."""
    pose: Pose
    """Yaw, pitch and roll in degrees."""
    held: bool
    """True where the face was not seen in this frame but a moment ago; its last points are repeated."""
    schema: Schema
    """The set of points that the network speaks."""
    measures: Measures | None = None
    """Open eyes and mouth, blinks, smile, brows; from a `Tracker` or `track` with `measures=True` alone."""
    position: Position | None = None
    """Where the head is, centimetres; with `measures=True`, and where the face tells."""

    @property
    def names(self) -> tuple[str, ...]:
        """Of the K points. Left and right are the subject's."""
        return self.schema.names

    def __getitem__(self, key: str | int) -> NDArray[np.float32]:
        """The point (2,) with this name or number: x, y in pixels.

        Raises:
            InputError: the network has no point of that name; the text names the nearest.
        """
        if isinstance(key, str):
            if key not in self.schema.names:
                raise _no_point(key, self.schema)
            key = self.schema.names.index(key)
        point: NDArray[np.float32] = self.points[key]
        return point

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return iter(self.points)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.points, dtype) if copy else np.asarray(self.points, dtype)

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `json.dumps` takes, named as in the stream's JSON.

        Returns:
            `id`, `score`, `box`, `points`, `pose` (None where unknown); with measures also `measures` and `position`.
            Pixels and centimetres are rounded to hundredths.
        """
        values = {
            "id": self.id,
            "score": round(self.score, 3),
            "box": [round(value, 2) for value in self.box],
            "points": [[round(x, 2), round(y, 2)] for x, y in self.points.tolist()],
            "pose": None if math.isnan(self.pose.yaw) else {k: round(v, 1) for k, v in self.pose._asdict().items()},
        }
        if self.measures is not None:
            known = {key: value for key, value in self.measures._asdict().items() if value is not None}
            values["measures"] = {k: round(v, 3) if isinstance(v, float) else v for k, v in known.items()}
        if self.position is not None:
            values["position"] = {axis: round(value, 2) for axis, value in self.position._asdict().items()}
        return values

    def __repr__(self) -> str:
        x, y, width, height = self.box
        held = ", held" if self.held else ""
        return (
            f"<Face {self.id}: {len(self)} points, score {self.score:.2f}, "
            f"{width:.0f}x{height:.0f} at ({x:.0f}, {y:.0f}){held}>"
        )


def as_face(seen: SeenFace, schema: Schema) -> Face:
    """What the engine saw, as users get it."""
    pose = Pose(*seen.pose) if seen.pose else UNKNOWN
    return Face(seen.id, seen.score, seen.box, seen.points, pose, seen.held, schema, seen.measures, seen.position)


def _no_point(name: str, schema: Schema) -> InputError:
    near = difflib.get_close_matches(name, schema.names, n=1, cutoff=0)[0]
    return InputError(f"no point is called {name!r}; did you mean {near!r}? face.names has the {schema.size} names")


class Result(msgspec.Struct, frozen=True, eq=False):
    """The faces in one picture: iterate over it, index it, take its length; in a notebook it shows itself.

    >>> import fkp_edge as fkp
    >>> result = fkp.find(fkp.demo_picture())
    >>> len(result), result.draw().shape
    (1, (512, 512, 3))
    """

    faces: tuple[Face, ...]
    """The best score first; of a `Tracker` in the order in which they were found."""
    picture: Picture
    """What was looked at, not copied: (H, W) or (H, W, channels) uint8."""
    schema: Schema
    """The set of points that the network speaks."""
    colors: Colors
    """Order of the picture's channels."""

    def __iter__(self) -> Iterator[Face]:
        return iter(self.faces)

    def __len__(self) -> int:
        return len(self.faces)

    def __getitem__(self, index: int) -> Face:
        return self.faces[index]

    @property
    def names(self) -> tuple[str, ...]:
        """Of the K points. Left and right are the subject's."""
        return self.schema.names

    def draw(self, *, boxes: bool = True) -> NDArray[np.uint8]:
        """The picture with points, edges and boxes drawn on it.

        Args:
            boxes: whether to draw a box around each face.

        Returns:
            A copy, (H, W, 3) uint8, its channels in the picture's order.
        """
        drawn = self._drawn(boxes=boxes)
        return drawn if self.colors == "bgr" else np.ascontiguousarray(drawn[:, :, ::-1])

    def save(self, path: str | PathLike[str]) -> Path:
        """Writes what `draw` gives to a picture file, whole or not at all.

        Args:
            path: the ending says the format: .png, .jpg, .webp and the like.

        Returns:
            The path.

        Raises:
            InputError: the ending names no format, or the file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() not in PICTURE_SUFFIXES:
            raise InputError(f"{path} names no picture format; expected an ending such as .png or .jpg")
        write_whole({path: _encode(self._drawn(), path.suffix)})
        return path

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `json.dumps` takes, named as in the stream's JSON and in `predict --json`.

        Returns:
            `faces`: a list with what `Face.to_dict` gives.
        """
        return {"faces": [face.to_dict() for face in self.faces]}

    def _drawn(self, *, boxes: bool = True) -> NDArray[np.uint8]:
        drawn = to_bgr(self.picture, self.colors)
        for face in self.faces:
            draw_face(drawn, face.points, self.schema, box=face.box if boxes else None)
        return drawn

    def _repr_png_(self) -> bytes:
        return _encode(self._drawn(), ".png")

    def __repr__(self) -> str:
        height, width = self.picture.shape[:2]
        return f"<{type(self).__name__} {self._said()}in {width}x{height}: {list(self.faces)}>"

    def _said(self) -> str:
        return f"{len(self)} face{'' if len(self) == 1 else 's'} "


class TrackResult(Result, frozen=True, eq=False):
    """The faces in one frame of a camera or video, given the frames before it.

    >>> import fkp_edge as fkp
    >>> with fkp.Tracker() as tracker:
    ...     result = tracker(fkp.demo_picture(), time_s=0.0)
    >>> result.state, result[0].id
    ('tracking', 1)
    """

    state: str
    """`searching`: no face; `tracking`: a face was seen in this frame; `held`: it was not, but a moment ago;
    `no_camera`: the camera is lost and is opened again (from `track` alone)."""
    time_s: float
    """When the frame was taken, seconds: as given, else the monotonic clock."""
    sequence: int
    """Counts frames from 0."""
    dropped: int
    """Frames skipped since the result before: a camera's, where the program is slower than the camera."""

    def to_dict(self) -> dict[str, Any]:
        """Plain values that `json.dumps` takes, named as in the stream's JSON.

        Returns:
            `sequence`, `time_s`, `state` and `dropped`, and `faces`: a list with what `Face.to_dict` gives.
        """
        own = {"sequence": self.sequence, "time_s": self.time_s, "state": self.state, "dropped": self.dropped}
        return own | {"faces": [face.to_dict() for face in self.faces]}

    def _said(self) -> str:
        return f"{self.sequence} {self.state}, {len(self)} face{'' if len(self) == 1 else 's'} "


def _encode(bgr: NDArray[np.uint8], suffix: str) -> bytes:
    try:
        good, coded = cv2.imencode(suffix, bgr)
    except cv2.error as error:
        raise InputError(f"this OpenCV writes no {suffix} files ({error.err}); expected .png or .jpg") from None
    if not good:
        raise InputError(f"OpenCV cannot write this picture as {suffix}; expected .png or .jpg")
    return bytes(coded)
