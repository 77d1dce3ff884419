"""A video with its faces followed, and drawn where asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.drawing import draw_face
from fkp_edge.core.observation import Observation
from fkp_edge.device.detection.search import Method, SearchSettings, open_search
from fkp_edge.device.sources.files import VideoSource
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.engine import Engine, EngineSettings
from fkp_edge.errors import InputError
from fkp_edge.model.interpreter import KeypointModel

__all__ = ["follow_video"]

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
