"""What the shipped finder proposes, beside Haar: photographs, held-out chips by age and group, size, roll, cost.

Usage: python benchmarks/finder.py DATA OUT.json [ROOTS] [--only PART]

DATA has test/scenes, val/scenes and unlabelled/utkface; half an hour. With ROOTS (arm64/README.md says how they are
made) it also counts instructions on a Pi 4's and a Pi 5's core. A proposal counts where it overlaps the labelled crop
by 0.3; a face is confirmed where the keypoint network, from a proposal, settles with a score of 0.9 (and, on labelled
faces, an NME of at most 0.15).
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from emulated_pi import BOARDS, HERE, emulator, read_marks, stop
from instructions import count
from numpy.typing import NDArray
from scenes import without_people

from fkp_edge import data
from fkp_edge.core.geometry import Crop, box_around, crop_from_box, crop_from_labels, iou
from fkp_edge.core.keypoints import FKP15, from_ibug68
from fkp_edge.data import Scene, read_picture
from fkp_edge.device.detection.finder import Finder, parts_of, propose_everywhere, propose_part
from fkp_edge.device.detection.haar import HaarDetector, HaarSettings
from fkp_edge.device.sources import DemoSource
from fkp_edge.device.timing import StageTimes
from fkp_edge.device.tracking.tracker import refine_crop
from fkp_edge.evaluation.evaluate import MATCH, PROPOSALS, hits, label_photographs
from fkp_edge.evaluation.groups import held_out, person_named
from fkp_edge.evaluation.metrics import face_nme
from fkp_edge.model.finder import open_finder
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model

Grey = NDArray[np.uint8]
Propose = Callable[[Grey, int], Sequence[Crop]]

SCORE, NME = 0.9, 0.15
ONE_IN = 5
"""Chips of UTKFace whose name's hash divides by this were kept out of training (train/finder.toml)."""
SIDES = (16, 20, 24, 32, 40, 64, 96, 160)
"""Sides of a face's crop in a frame of 640x480, pixels."""
ANGLES = (0, 35)


def confirmed(model: KeypointModel, grey: Grey, crops: Sequence[Crop]) -> list[NDArray[np.float32]]:
    """Points of the faces that the keypoint network is sure of, from proposed crops."""
    sights = (refine_crop(model, grey, crop, StageTimes()) for crop in crops)
    return [prediction.points for prediction in sights if prediction and prediction.score >= SCORE]


def is_found(found: Sequence[NDArray[np.float32]], truth: NDArray[np.float32]) -> bool:
    """Whether one of the `found` points is the labelled face."""
    return any(float(face_nme(points[None], truth[None], FKP15)[0]) <= NME for points in found)


def percent(values: Sequence[bool]) -> float:
    return round(100 * float(np.mean(values)), 2) if values else float("nan")


def photographs(scenes: Sequence[Scene], propose: Propose) -> dict[str, Any]:
    """Recall at a fixed number of proposals, whole and by the face's size and roll."""
    by: dict[str, list[bool]] = defaultdict(list)
    for scene, photograph in zip(scenes, label_photographs(scenes), strict=True):
        found = hits(photograph, propose, most=PROPOSALS)
        for hit, face in zip(found, scene.faces, strict=True):
            points = from_ibug68(face, FKP15)
            left, right = FKP15.eye_centers(points)
            roll = abs(math.degrees(math.atan2(*(left - right)[::-1])))
            side = crop_from_labels(points, FKP15).side * 640 / max(photograph.picture.shape)
            by["all"].append(hit)
            by[f"side {'below 40' if side < 40 else '40 to 80' if side < 80 else '80 and more'}"].append(hit)
            by[f"roll {'below 10' if roll < 10 else '10 to 25' if roll < 25 else '25 and more'}"].append(hit)
    return {key: {"faces": len(v), "proposed_percent": percent(v)} for key, v in sorted(by.items())}


def in_larger_picture(chip: Grey, rng: np.random.Generator) -> Grey:
    """`chip` at 60 to 160 pixels somewhere in 640x480 pixels of its own mean with soft noise."""
    size = int(rng.integers(60, 161))
    noise = rng.normal(float(chip.mean()), 30, (12, 16)).astype(np.float32)
    frame = np.clip(cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC), 0, 255).astype(np.uint8)
    x, y = int(rng.integers(0, 640 - size)), int(rng.integers(0, 480 - size))
    frame[y : y + size, x : x + size] = cv2.resize(chip, (size, size), interpolation=cv2.INTER_AREA)
    return frame


def chips(folder: Path, model: KeypointModel, ways: dict[str, Propose]) -> dict[str, Any]:
    """Confirmed faces of held-out chips, as they are and set into larger pictures."""
    rng = np.random.default_rng(5)
    names = [path for path in data.find_pictures(folder) if held_out(path.name, ONE_IN)]
    found: dict[str, dict[str, dict[str, list[bool]]]] = {
        w: {"as_is": defaultdict(list), "set_in": defaultdict(list)} for w in ways
    }
    for path in names:
        chip = read_picture(path)
        pictures = {"as_is": chip, "set_in": in_larger_picture(chip, rng)}
        for way, propose in ways.items():
            for kind, picture in pictures.items():
                if (way, kind) == ("haar", "set_in"):  # ten times the time of all the rest
                    continue
                hit = bool(confirmed(model, picture, propose(picture, PROPOSALS)))
                for key in ("all", *person_named(path.name).values()):
                    found[way][kind][key].append(hit)
    return {
        way: {
            kind: {key: {"chips": len(v), "confirmed_percent": percent(v)} for key, v in sorted(groups.items())}
            for kind, groups in kinds.items()
        }
        for way, kinds in found.items()
    }


def turned(scenes: Sequence[Scene], model: KeypointModel, ways: dict[str, Propose]) -> list[dict[str, Any]]:
    """Confirmed faces of photographs turned by known angles, both ways."""
    rows = []
    for angle in ANGLES:
        found: dict[str, list[bool]] = defaultdict(list)
        for scene, sign in ((scene, sign) for scene in scenes for sign in ((1, -1) if angle else (1,))):
            grey = read_picture(scene.path)
            height, width = grey.shape
            matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -sign * angle, 1)
            grey = np.asarray(cv2.warpAffine(grey, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)
            truths = [from_ibug68(f, FKP15) @ matrix[:, :2].T + matrix[:, 2] for f in scene.faces]
            for way, propose in ways.items():
                points = confirmed(model, grey, propose(grey, PROPOSALS))
                found[way] += [is_found(points, np.asarray(truth, np.float32)) for truth in truths]
        rows.append(
            {"degrees": angle, **{w: {"faces": len(v), "confirmed_percent": percent(v)} for w, v in found.items()}}
        )
    return rows


def sized(scenes: Sequence[Scene], finder: Finder) -> list[dict[str, Any]]:
    """Faces proposed in frames of 640x480, by the side of their crop: in the whole frame, and with parts in turns."""
    rows = []
    for side in SIDES:
        whole, parts = [], []
        for frame, truth in shrunk(scenes, side):
            crops = [p.crop for p in finder.propose(frame, max_proposals=PROPOSALS)]
            whole.append(any(iou(box_around(c), box_around(truth)) >= MATCH for c in crops))
            crops += [p.crop for part in parts_of(frame, 2) for p in propose_part(finder, part, PROPOSALS)]
            parts.append(any(iou(box_around(c), box_around(truth)) >= MATCH for c in crops))
        rows.append(
            {
                "side_px": side,
                "faces": len(whole),
                "whole_percent": percent(whole),
                "with_parts_percent": percent(parts),
            }
        )
    return rows


def shrunk(scenes: Sequence[Scene], side: float) -> Iterator[tuple[Grey, Crop]]:
    """The photographs with one face, reduced until its crop has `side` pixels, somewhere in a frame of 640x480."""
    rng = np.random.default_rng(7)
    for scene in scenes:
        if len(scene.faces) != 1 or scene.ignore:
            continue
        grey = read_picture(scene.path)
        crop = crop_from_labels(from_ibug68(scene.faces[0], FKP15), FKP15)
        scale = side / crop.side
        if scale > 1:
            continue
        small = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        height, width = small.shape
        left, top = int(rng.integers(0, max(1, 640 - width))), int(rng.integers(0, max(1, 480 - height)))
        frame = np.full((480, 640), int(small.mean()), np.uint8)
        fits = small[: 480 - top, : 640 - left]
        frame[top : top + fits.shape[0], left : left + fits.shape[1]] = fits
        x, y = (crop.x + 0.5) * scale - 0.5 + left, (crop.y + 0.5) * scale - 0.5 + top
        if x < 640 and y < 480:
            yield frame, Crop(x, y, side)


def cost(finder: Finder, haar: HaarDetector) -> float:
    """CPU time of a search in frames of 640x480 here, Haar's over the finder's: a ratio, from one process."""
    frame = np.random.default_rng(0).integers(0, 256, (30, 40)).astype(np.uint8)
    frame = np.asarray(cv2.resize(frame, (640, 480), interpolation=cv2.INTER_CUBIC), np.uint8)
    times: dict[str, list[float]] = {"finder": [], "haar": []}
    for _ in range(30):
        for name, look in (("finder", lambda: finder.propose(frame)), ("haar", lambda: haar.detect(frame))):
            start = time.process_time()
            look()
            times[name].append(time.process_time() - start)
    return round(float(np.median(times["haar"]) / np.median(times["finder"])), 1)


def instructions(roots: Path, path: Path) -> dict[str, dict[str, int]]:
    """Of the network alone and of a whole look (letterbox, network, decoding) at the demo's frames of 640x480."""
    demo = DemoSource(pace=False)
    counted: dict[str, dict[str, int]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "frames.npy", np.stack([demo.frame(i, 0).grey for i in range(0, 60, 10)]))
        (folder / "network.tflite").write_bytes(open_finder(path).file.flatbuffer)
        for board, about in BOARDS.items():
            command, environment = emulator(roots, about, userland="bookworm", site=HERE.parent, counting=True)
            full = [*command, HERE / "arm64/look.py", folder / "frames.npy"]
            done = subprocess.run(full, env=environment, capture_output=True, text=True, timeout=900)
            if done.returncode:
                stop(f"the emulated {board} ended with {done.returncode}: {done.stderr[-2000:]}")
            marks = read_marks(done.stderr)
            look = int(np.median(np.array(marks[1::2]) - np.array(marks[::2])))
            counted[board] = {"network": round(count(roots, about, [folder / "network.tflite"])[0]), "look": look}
    return counted


def main() -> None:
    """Prints and writes the record."""
    parser = argparse.ArgumentParser()
    parser.add_argument("data", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("roots", type=Path, nargs="?")
    parser.add_argument(
        "--only", metavar="PART", help="measure this part anew, such as test_scenes; OUT has the others"
    )
    args = parser.parse_args()
    cv2.setNumThreads(1)
    model, finder, haar = open_model(shipped_model()), Finder(), HaarDetector()
    usual = HaarDetector(HaarSettings(scale_factor=1.1, min_neighbors=3, min_size=24, longest_side=4096))
    ways: dict[str, Propose] = {
        "finder": lambda grey, most: [p.crop for p in finder.propose(grey, max_proposals=most)],
        "haar": lambda grey, most: [crop_from_box(box) for box in usual.detect(grey)][:most],
    }
    everywhere: dict[str, Propose] = {"everywhere": lambda grey, most: propose_everywhere(finder, grey)[:most]}
    test, val = (data.read_scenes(args.data / name) for name in ("test/scenes", "val/scenes"))
    parts: dict[str, Callable[[], Any]] = {
        "test_scenes": lambda: {
            way: photographs(without_people(test), propose) for way, propose in (ways | everywhere).items()
        },
        "sizes": lambda: sized(val, finder),
        "turned_val_scenes": lambda: turned(val, model, ways),
        "held_out_utkface": lambda: chips(args.data / "unlabelled/utkface", model, ways),
        "haar_over_finder_cpu": lambda: cost(finder, haar),
    }
    if args.roots:
        parts["instructions"] = lambda: instructions(args.roots, finder.path)
    record: dict[str, Any] = {
        "model_sha256": open_finder(finder.path).file.sha256,
        "keypoints_sha256": model.file.sha256,
        "proposals": PROPOSALS,
    }
    if args.only:
        before = json.loads(args.out.read_text())
        if args.only not in parts or any(before[key] != value for key, value in record.items()):
            stop(f"--only {args.only}: expected one of {', '.join(parts)}, and {args.out} of the models that ship")
        record, parts = before, {args.only: parts[args.only]}
    for name, measure in parts.items():
        record[name] = measure()
        print(name, json.dumps(record[name]), flush=True)
    args.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
