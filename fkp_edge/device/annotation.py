"""Videos with their faces followed and drawn, and a sheet of annotated frames of a run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.drawing import draw_face, sheet
from fkp_edge.core.files import write_whole
from fkp_edge.core.keypoints import Schema
from fkp_edge.core.observation import Frame, Observation
from fkp_edge.device.detection.search import Method, SearchSettings, open_search
from fkp_edge.device.sources.files import VideoSource
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.engine import Engine, EngineSettings
from fkp_edge.errors import InputError
from fkp_edge.model.interpreter import KeypointModel

__all__ = ["ContactSheet", "check_sheet", "follow_video"]

FACES = 4
"""Followed at a time: as many as an engine can."""


def follow_video(
    path: Path, model: KeypointModel, *, method: Method = "both", drawn: Path | None = None
) -> Iterator[Observation]:
    """What is seen in each frame of the video at `path`, as `fkp-edge run` follows faces, up to four.

    Args:
        path: the video.
        model: the network.
        method: of the search.
        drawn: an MP4 to write, with points, boxes, ids and scores; it is there once all frames were.

    Raises:
        SourceError: `path` is no video, or is cut.
        InputError: `drawn` cannot be written.
    """
    times = StageTimes()
    partial = drawn and drawn.with_name(f".{drawn.name}.part.mp4")
    writer: cv2.VideoWriter | None = None
    settings = SearchSettings(method=method)
    try:
        with (
            closing(VideoSource(path, pace=False)) as source,
            closing(open_search(settings, times, live=False, has_score=model.has_score)) as search,
        ):
            engine = Engine(model, search, EngineSettings(max_faces=FACES), times=times)
            while (both := source.read_both()) is not None:
                frame, picture = both
                observation = engine.process(frame)
                if partial:
                    writer = writer or _open_writer(partial, source.rate, picture)
                    _draw(picture, observation, model)
                    writer.write(picture)
                yield observation
        if writer and partial and drawn:
            writer.release()
            partial.replace(drawn)
    finally:
        if writer:
            writer.release()
        if partial:
            partial.unlink(missing_ok=True)


def _open_writer(path: Path, rate: float, picture: NDArray[np.uint8]) -> cv2.VideoWriter:
    height, width = picture.shape[:2]
    writer = cv2.VideoWriter(str(path.absolute()), cv2.VideoWriter.fourcc(*"mp4v"), rate, (width, height))
    if not writer.isOpened():
        raise InputError(f"no video can be written to {path.parent}; expected a folder that is there and has room")
    return writer


def _draw(picture: NDArray[np.uint8], observation: Observation, model: KeypointModel) -> None:
    for face in observation.faces:
        draw_face(picture, face.points, model.schema, box=face.box, label=f"{face.id}: {face.score:.2f}")


WIDTH = 320
"""Of a tile, pixels."""
COLUMNS = 4
MOST = 16


def check_sheet(path: Path) -> None:
    """Refuses a place that no sheet can be written to; opens nothing.

    Raises:
        InputError: it is no PNG, or its folder is missing.
    """
    if path.suffix.lower() != ".png" or not path.parent.is_dir():
        raise InputError(f"--sheet {path} cannot be written; expected FILE.png in a folder that exists")


class ContactSheet:
    """A sink that keeps every `every`-th frame, drawn; of more than 16 every second one, and so on.

    So a short clip fills it, a long run is there from its start to its end, and memory stays bounded.
    """

    def __init__(self, schema: Schema, *, every: int = 1) -> None:
        self._schema = schema
        self._every = every
        self._due = 0
        self._tiles: list[NDArray[np.uint8]] = []

    def __call__(self, frame: Frame | None, observation: Observation) -> None:
        """Draws the frame, where it is due."""
        if frame is None or frame.sequence < self._due:
            return
        picture = cv2.cvtColor(frame.grey, cv2.COLOR_GRAY2BGR)
        for face in observation.faces:
            draw_face(picture, face.points, self._schema, box=face.box, label=f"{face.id}: {face.score:.2f}")  # type: ignore[arg-type]
        height = self._tiles[0].shape[0] if self._tiles else round(WIDTH * picture.shape[0] / picture.shape[1])
        tile = cv2.resize(picture, (WIDTH, height), interpolation=cv2.INTER_AREA)
        text = f"frame {observation.sequence}: {observation.state}"
        for color, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(tile, text, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.5, color, thick, cv2.LINE_AA)
        self._tiles.append(tile)  # type: ignore[arg-type]
        if len(self._tiles) > MOST:
            self._tiles, self._every = self._tiles[::2], 2 * self._every
        self._due = frame.sequence + self._every

    def save(self, path: Path) -> None:
        """Writes the sheet as PNG.

        Raises:
            InputError: nothing was kept, or the file cannot be written.
        """
        if not self._tiles:
            raise InputError(f"no frame to draw, so no {path}; expected at least one")
        coded = cv2.imencode(".png", sheet(self._tiles, columns=COLUMNS))[1]
        write_whole({path: coded.tobytes()})
