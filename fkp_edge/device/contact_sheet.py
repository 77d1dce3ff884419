"""A sheet of annotated frames of a run: what the demo leaves behind to look at."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.drawing import draw_face, sheet
from fkp_edge.core.files import write_whole
from fkp_edge.core.keypoints import Schema
from fkp_edge.core.observation import Frame, Observation
from fkp_edge.errors import InputError

__all__ = ["ContactSheet", "check_sheet"]

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
