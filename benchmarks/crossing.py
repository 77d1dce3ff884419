"""Whether two people who cross keep their ids: composed from photographs of people, at several speeds.

Usage: python benchmarks/crossing.py DATA OUT.json     (DATA has unlabelled/lfw; three minutes)

Two faces, each cut out of its photograph by an ellipse, pass each other on a grey ground, one a little larger and in
front. A swap is an id that is seen on both where the two are apart; a crossing counts where both are followed before.
"""

from __future__ import annotations

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop, crop_from_track
from fkp_edge.core.observation import Face, Frame
from fkp_edge.data import read_picture
from fkp_edge.device.detection.haar import HaarDetector
from fkp_edge.device.detection.search import InlineSearch
from fkp_edge.device.tracking.engine import Engine, EngineSettings
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model

SIZE = (640, 360)
RATE = 30
PAIRS = 20
SPEEDS = (100, 200, 400)
"""Of each towards the other, pixels a second; faces are 110 and 125 pixels wide."""
SIDES = (110.0, 125.0)
Grey = NDArray[np.uint8]


@dataclass(frozen=True)
class Person:
    """A photograph and where its face is."""

    grey: Grey
    home: Crop

    def paint(self, frame: Grey, x: float, y: float, side: float) -> None:
        """Puts the head into `frame`, its face's middle at (x, y)."""
        mask = np.zeros_like(self.grey)
        axes = (round(0.62 * self.home.side), round(0.8 * self.home.side))
        cv2.ellipse(mask, (round(self.home.x), round(self.home.y)), axes, 0, 0, 360, (255,), -1)
        zoom = side / self.home.side
        matrix = np.array([[zoom, 0, x - zoom * self.home.x], [0, zoom, y - zoom * self.home.y]])
        warped, where = (cv2.warpAffine(picture, matrix, SIZE) for picture in (self.grey, mask))
        np.copyto(frame, np.asarray(warped, np.uint8), where=np.asarray(where) > 127)


def find_people(folder: Path, model: KeypointModel, detector: HaarDetector) -> list[Person]:
    """People of the folder's photographs, chosen by chance, whose face the engine finds."""
    paths = sorted(folder.rglob("*.jpg"))
    people: list[Person] = []
    for index in np.random.default_rng(0).permutation(len(paths)):
        grey = read_picture(paths[index])
        faces = Engine(model, InlineSearch(detector.detect)).process(Frame(grey, 0, 0)).faces
        if faces:
            people.append(Person(grey, crop_from_track(faces[0].points, model.schema.mean_shape)))
        if len(people) == 2 * PAIRS:
            break
    return people


def cross(people: tuple[Person, Person], speed: float, engine: Engine) -> str:
    """Lets two cross; "kept", "swapped", "renamed" (one got a new id) or "not followed" before they met."""
    noise = np.random.default_rng(0)
    owners: dict[int, set[int]] = {}
    before = 0
    for i in range(round(400 / speed * RATE)):
        way = speed * i / RATE
        places = ((520 - way, 175.0), (120 + way, 190.0))
        frame = np.full(SIZE[::-1], 160, np.uint8)
        for person, (x, y), side in zip(people, places, SIDES, strict=True):
            person.paint(frame, x, y, side)
        frame = np.clip(frame + noise.normal(0, 2, frame.shape), 0, 255).astype(np.uint8)
        seen = engine.process(Frame(frame, i * 1_000_000_000 // RATE, i))
        apart = abs(places[0][0] - places[1][0])
        if apart > 100:
            for face in seen.faces:
                owners.setdefault(face.id, set()).add(nearest(face, places))
            before = max(before, len(seen.faces) if places[0][0] > places[1][0] else 0)
    if before < 2:
        return "not followed"
    if any(len(faces) > 1 for faces in owners.values()):
        return "swapped"
    return "kept" if len(owners) == 2 else "renamed"


def nearest(face: Face, places: tuple[tuple[float, float], ...]) -> int:
    """Whose place a face's box is at."""
    x, y, w, h = face.box
    return min(range(len(places)), key=lambda i: math.dist((x + w / 2, y + h / 2), places[i]))


def main(data: Path, out: Path) -> None:
    """Prints and writes a row a speed."""
    cv2.setNumThreads(1)
    model, detector = open_model(shipped_model()), HaarDetector()
    people = find_people(data / "unlabelled/lfw", model, detector)
    rows: list[dict[str, Any]] = []
    for speed in SPEEDS:
        row: dict[str, Any] = {"pixels_a_second": speed, "pairs": PAIRS}
        row |= dict.fromkeys(("kept", "renamed", "swapped", "not followed"), 0)
        for pair in zip(people[::2], people[1::2], strict=True):
            engine = Engine(model, InlineSearch(detector.detect), EngineSettings(max_faces=2))
            row[cross(pair, speed, engine)] += 1
        rows.append(row)
        print(row, flush=True)
    out.write_text(json.dumps({"model_sha256": model.file.sha256, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
