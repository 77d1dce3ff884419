"""Measures how the device's crops differ from the labels' crops: the jitter that training imitates.

Haar: boxes at (1.1, 3) on val/scenes against the labels' crops. Tracking: the crop taken from the last frame's points
against the crop of this frame's, on the clips (12.5 frames/s: each step is over twice that of a camera) and the demo.

Usage: python benchmarks/crop_jitter.py DATA OUT.json     (DATA has val/scenes and clips)
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from fkp_edge.core.geometry import Crop, box_around, crop_from_box, crop_from_labels, crop_from_track, iou
from fkp_edge.core.keypoints import FKP15, from_ibug68
from fkp_edge.core.observation import State
from fkp_edge.data import read_picture, read_scenes
from fkp_edge.device.detection.haar import HaarDetector, HaarSettings
from fkp_edge.device.detection.search import InlineSearch
from fkp_edge.device.sources import DemoSource, Source, VideoSource
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model

COLUMNS = ("shift_x", "shift_y", "log_scale", "roll_deg")


def difference(crop: Crop, aim: Crop) -> tuple[float, float, float, float]:
    """What `crop` differs by from `aim`: shifts in sides, log of the scale, degrees."""
    roll = math.degrees(math.remainder(crop.roll - aim.roll, 2 * math.pi))
    return (crop.x - aim.x) / aim.side, (crop.y - aim.y) / aim.side, math.log(crop.side / aim.side), roll


def describe(rows: list[tuple[float, float, float, float]]) -> dict[str, Any]:
    """Mean, standard deviation and a robust standard deviation of each column."""
    values = np.array(rows)
    robust = 1.4826 * np.median(np.abs(values - np.median(values, 0)), 0)
    figures = {"mean": values.mean(0), "sd": values.std(0), "robust_sd": robust}
    named = {k: dict(zip(COLUMNS, np.round(v, 4).tolist(), strict=True)) for k, v in figures.items()}
    return {"crops": len(rows), **named}


def haar(scenes: Path) -> list[tuple[float, float, float, float]]:
    """Each box that frames a labelled face against that face's crop."""
    detector = HaarDetector(HaarSettings(scale_factor=1.1, min_neighbors=3, min_size=24, longest_side=4096))
    rows = []
    for scene in read_scenes(scenes):
        aims = [crop_from_labels(from_ibug68(face, FKP15), FKP15) for face in scene.faces]
        for box in detector.detect(read_picture(scene.path)):
            best = max(aims, key=lambda aim: iou(box, box_around(aim)))
            if iou(box, box_around(best)) >= 0.3:
                rows.append(difference(crop_from_box(box), best))
    return rows


def tracking(model: KeypointModel, source: Source) -> list[tuple[float, float, float, float]]:
    """Each tracked frame's crop, which comes from the frame before, against the crop of its own points."""
    engine = Engine(model, InlineSearch(HaarDetector().detect))
    rows, last = [], None
    while (frame := source.read()) is not None:
        seen = engine.process(frame)
        crop = crop_from_track(seen.faces[0].points, model.mean_shape) if seen.state is State.TRACKING else None
        if last is not None and crop is not None:
            rows.append(difference(last, crop))
        last = crop
    return rows


def main(data: Path, out: Path) -> None:
    """Prints and writes the figures."""
    model = open_model(shipped_model())
    clips = [
        row for path in sorted((data / "clips").glob("*.mp4")) for row in tracking(model, VideoSource(path, pace=False))
    ]
    results = {
        "model_sha256": model.file.sha256,
        "haar on val/scenes": describe(haar(data / "val/scenes")),
        "tracking on the clips": describe(clips),
        "tracking on the demo": describe(tracking(model, DemoSource(pace=False))),
    }
    out.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
