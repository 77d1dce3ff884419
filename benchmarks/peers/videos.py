"""Times every peer on the same frames, in turns."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from environments import Worker
from mapping import to_fkp15
from material import Video
from speed import Clocks, Mask, describe, tracked_frames

from fkp_edge.core.keypoints import FKP15
from fkp_edge.evaluation.metrics import face_nme

TRACKING = ("int8", "float32", "mediapipe")
"""Peers that go on from the frame before."""
PREDICTOR = "dlib_predictor"
"""dlib's predictor alone, in the boxes that its detector found in the same round."""
Found = dict[str, Any]


def measure(workers: Mapping[str, Worker], videos: Sequence[Video], rounds: int, work: Path) -> dict[str, Any]:
    """The record: a group for the demo, one for the clips together, and what was found on each video."""
    runs = {video.name: run_in_turns(workers, video, rounds, work) for video in videos}
    demo, clips = [v for v in videos if v.truth], [v for v in videos if not v.truth]
    groups = {"demo": group(demo, runs)} | ({"clips": group(clips, runs)} if clips else {})
    return {"rounds": rounds, "groups": groups, "videos": [findings(video, runs[video.name]) for video in videos]}


def run_in_turns(workers: Mapping[str, Worker], video: Video, rounds: int, work: Path) -> dict[str, list[Found]]:
    """What each peer found and how long it took, round by round; a round is each peer once."""
    runs: dict[str, list[Found]] = {}
    for number in range(rounds):
        for name, worker in workers.items():
            job = video.job() | {"out": str(work / "found.npz")}
            runs.setdefault(name, []).append(read(worker.do(job)))
            if name == "dlib":
                np.save(work / "boxes.npy", first_boxes(runs[name][-1], video.frames))
                job |= {"boxes": str(work / "boxes.npy")}
                runs.setdefault(PREDICTOR, []).append(read(worker.do(job)))
        print(f"{video.name}: round {number + 1} of {rounds}", file=sys.stderr, flush=True)
    return runs


def read(path: Path) -> Found:
    """A worker's result."""
    with np.load(path) as file:
        return dict(file)


def first_boxes(found: Found, pictures: int) -> np.ndarray[Any, Any]:
    """The first box of each picture (pictures, 4); NaN where there is none."""
    boxes = np.full((pictures, 4), np.nan)
    index, first = np.unique(found["picture"], return_index=True)
    boxes[index] = found["boxes"][first]
    return boxes


def seen(found: Found, frames: int) -> Mask:
    """In which frames a face was found."""
    return np.isin(np.arange(frames), found["picture"])


def group(videos: Sequence[Video], runs: Mapping[str, Mapping[str, Sequence[Found]]]) -> dict[str, Any]:
    """Times on the frames of `videos` that the tracking peers all tracked, in every round."""
    masks: dict[str, list[Mask]] = {}
    clocks: dict[str, dict[str, list[Clocks]]] = {"wall": {}, "cpu": {}}
    for video in videos:
        here = runs[video.name]
        tracked = tracked_frames([seen(found, video.frames) for name in TRACKING for found in here[name]])
        for name, rounds in here.items():
            # without a box the predictor does nothing at all
            mask = tracked & seen(here["dlib"][0], video.frames) if name == PREDICTOR else tracked
            masks.setdefault(name, []).append(mask)
            for clock, times in clocks.items():
                times.setdefault(name, []).append(np.stack([found[f"{clock}_ns"] for found in rounds]))
    joined = {clock: {name: np.concatenate(t, axis=1) for name, t in times.items()} for clock, times in clocks.items()}
    frames = {name: np.concatenate(parts) for name, parts in masks.items()}
    size = sorted({video.size for video in videos})
    return {"sizes": size, "tracked": int(frames["int8"].sum()), "peers": describe(joined, frames, "int8")}


def findings(video: Video, runs: Mapping[str, Sequence[Found]]) -> dict[str, Any]:
    """That the work was done: frames with a face, whether rounds agree, and the error where the truth is known."""
    rows = {}
    for name, rounds in runs.items():
        first = rounds[0]
        row: dict[str, Any] = {"with_a_face": int(seen(first, video.frames).sum())}
        row["rounds_agree"] = all(np.array_equal(first["points"], other["points"]) for other in rounds[1:])
        if video.truth and len(first["points"]):
            row["median_nme_percent"] = round(100 * error(first, video), 2)
        rows[name] = row
    return {"name": video.name, "frames": video.frames, "size": video.size, "peers": rows}


def error(found: Found, video: Video) -> float:
    """Median NME over the frames whose truth is known and in which a face was found."""
    index, first = np.unique(found["picture"], return_index=True)
    pairs = [(found["points"][f], video.truth[i]) for i, f in zip(index.tolist(), first.tolist(), strict=True)]
    known = [(to_fkp15(points), truth) for points, truth in pairs if truth is not None]
    points, truth = (np.stack(side) for side in zip(*known, strict=True))
    return float(np.median(face_nme(points, truth, FKP15)))
