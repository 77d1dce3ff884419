"""How cost grows with the frame's size, faces, clients and threads, beside the law that it should follow.

    python benchmarks/growth.py OUT [--rounds 10]

Faces are the demo's portrait at one size in every frame, so that only what is varied varies; searches are of frames
textured all over. Sizes, faces and threads take turns; clients are readers in another process. Frames, searches and
publishing are in CPU time of their thread, which other work on the machine moves little; threads in time on the wall.
Also draws docs/growth.svg and fills docs/performance.md. Two minutes.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from growth_page import SVG, page, plot
from numpy.typing import NDArray
from performance_page import PAGE, fill

from fkp_edge.core.geometry import crop_from_track
from fkp_edge.core.keypoints import FKP15
from fkp_edge.core.observation import Frame, Observation, State
from fkp_edge.data.pictures import portrait, portrait_points
from fkp_edge.device.board import read_board
from fkp_edge.device.detection.haar import HaarDetector, HaarSettings
from fkp_edge.device.detection.search import InlineSearch
from fkp_edge.device.tracking.engine import Engine, EngineSettings
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import shipped_model
from fkp_edge.stream import Hello, LineServer, TcpAddress, encode, from_observation

SIZES = ((320, 240), (640, 480), (960, 720), (1280, 720), (1920, 1080))
FACES = (0, 1, 2, 3, 4)
CLIENTS = (0, 1, 25, 50, 100, 150, 200)
SIDE = 150
"""Pixels of a face's crop: large enough to be found in a 1920-pixel frame that is reduced to 480."""
RATE = 30
FRAME_NS = 33_333_333
FRAMES = 60

Grey = NDArray[np.uint8]


def picture(size: tuple[int, int], faces: int, shift: float = 0.0) -> Grey:
    """`faces` portraits side by side on grey, with noise; all moved by `shift` pixels."""
    grey = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)
    home = crop_from_track(portrait_points(), FKP15.mean_shape)
    zoom = SIDE / home.side
    width, height = size
    out = np.full((height, width), 160, np.uint8)
    cell = width / max(faces, 1)
    for i in range(faces):
        matrix = np.array([[zoom, 0, cell * (i + 0.5) + shift - zoom * home.x], [0, zoom, height / 2 - zoom * home.y]])
        drawn = cv2.warpAffine(grey, matrix, size, borderValue=(160,))
        left, right = int(cell * i), int(cell * (i + 1))
        out[:, left:right] = drawn[:, left:right]
    noise = np.random.default_rng(100 + round(10 * shift)).normal(0, 2.5, out.shape).round().astype(np.int16)
    return np.asarray(cv2.add(out, noise, dtype=cv2.CV_8U), np.uint8)


def textured(size: tuple[int, int]) -> Grey:
    """The portrait over and over: a cascade spends more on texture than on empty walls, so all of it must be alike."""
    grey = cv2.cvtColor(portrait(), cv2.COLOR_BGR2GRAY)
    width, height = size
    return np.ascontiguousarray(np.tile(grey, (height // len(grey) + 1, width // len(grey) + 1))[:height, :width])


def moving(size: tuple[int, int], faces: int) -> list[Grey]:
    """A few pictures of a small motion, there and back."""
    return [picture(size, faces, 4 * np.sin(2 * np.pi * i / 8)) for i in range(8)]


def track(pictures: list[Grey], faces: int, model: Any) -> list[float]:
    """Milliseconds of each frame in which nothing is searched and all faces are seen."""
    search = InlineSearch(HaarDetector().detect)
    engine = Engine(model, search, EngineSettings(max_faces=max(faces, 1)))
    spans = []
    for i in range(FRAMES):
        frame, before = Frame(pictures[i % len(pictures)], i * FRAME_NS, i), search.count
        start = time.thread_time_ns()
        seen = engine.process(frame)
        span = (time.thread_time_ns() - start) / 1e6
        if search.count == before and len(seen.faces) == faces and (seen.state is State.TRACKING or not faces):
            spans.append(span)
    assert spans, f"{faces} faces were never tracked"
    return spans


def timed(work: Callable[[], object], clock: Callable[[], int] = time.thread_time_ns) -> float:
    start = clock()
    work()
    return (clock() - start) / 1e6


def law(x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    """The straight line through the figures, and how far off it they are at most."""
    slope, start = np.polyfit(x, y, 1)
    predicted = start + slope * np.asarray(x)
    return {"start": float(start), "slope": float(slope), "off_at_most": float(np.abs(predicted - y).max())}


def by_size(rounds: int) -> dict[str, Any]:
    """Tracked frame and search; the search as shipped, which reduces to 480 pixels, and on the whole frame."""
    model = open_model(shipped_model())
    shipped, whole = HaarDetector(), HaarDetector(HaarSettings(longest_side=4096))
    pictures, walls = {size: moving(size, 1) for size in SIZES}, {size: textured(size) for size in SIZES}
    found: dict[tuple[int, int], dict[str, list[float]]] = {
        size: {"tracked": [], "search": [], "whole": []} for size in SIZES
    }
    for _ in range(rounds):
        for size, each in found.items():
            each["tracked"].append(float(np.median(track(pictures[size], 1, model))))
            each["search"].append(timed(lambda size=size: shipped.detect(walls[size])))
            each["whole"].append(timed(lambda size=size: whole.detect(walls[size])))
    rows = [
        {
            "size": f"{w}x{h}",
            "pixels": w * h,
            "tracked_ms": least(each["tracked"]),
            "search_ms": least(each["search"]),
            "unreduced_search_ms": least(each["whole"]),
        }
        for (w, h), each in found.items()
    ]
    megapixels = [row["pixels"] / 1e6 for row in rows]
    tracked = [row["tracked_ms"] for row in rows]
    return {
        "rows": rows,
        "unreduced_search_law_per_megapixel": law(megapixels, [row["unreduced_search_ms"] for row in rows]),
        "tracked_most_over_least": round(max(tracked) / min(tracked), 3),
    }


def least(values: Sequence[float]) -> float:
    """Of the rounds' figures: other work on the machine only ever adds to them."""
    return round(min(values), 4)


def median(values: Sequence[float]) -> float:
    return round(float(np.median(values)), 4)


def by_faces(rounds: int) -> dict[str, Any]:
    """A tracked frame of 1280x720 with 0 to 4 faces."""
    model = open_model(shipped_model())
    pictures = {count: moving((1280, 720), count) for count in FACES}
    found: dict[int, list[float]] = {count: [] for count in FACES}
    for _ in range(rounds):
        for count, each in found.items():
            each.append(float(np.median(track(pictures[count], count, model))))
    rows = [{"faces": count, "frame_ms": least(each)} for count, each in found.items()]
    return {"rows": rows, "law": law(FACES[1:], [row["frame_ms"] for row in rows[1:]])}


def by_threads(rounds: int) -> dict[str, Any]:
    """The network alone."""
    cores = len(os.sched_getaffinity(0))
    models = {n: open_model(shipped_model(), threads=n) for n in range(1, min(cores, 4) + 1)}
    crop = np.random.default_rng(0).integers(0, 256, (96, 96), np.uint8)
    found: dict[int, list[float]] = {n: [] for n in models}
    for _ in range(rounds):
        for n, model in models.items():
            found[n].append(
                float(
                    np.median([timed(lambda model=model: model.invoke(crop), time.perf_counter_ns) for _ in range(100)])
                )
            )
    return {"cores": cores, "rows": [{"threads": n, "network_ms": least(each)} for n, each in found.items()]}


def by_clients(seconds: float) -> dict[str, Any]:
    """What an observation costs the engine's thread to publish, and the whole process in CPU time, at 30 a second."""
    rows = []
    for count in CLIENTS:
        print(f"{count} clients", file=sys.stderr, flush=True)
        rows.append({"clients": count} | publish(count, seconds))
    return {"rows": rows, "cpu_law": law(CLIENTS, [row["cpu_ms"] for row in rows])}


def publish(count: int, seconds: float) -> dict[str, float]:
    observation = one_face()
    hello = Hello(model="", model_sha256="", points=(), frame_size=None, source="", server_ns=0)
    with LineServer(TcpAddress("127.0.0.1", 0), lambda: hello) as server:
        command = [sys.executable, __file__, "--clients", str(count), str(server.port)]
        with subprocess.Popen(command) as clients:
            while server.clients < count:
                time.sleep(0.01)
            spans = []
            used, start = time.process_time(), time.monotonic()
            for i in range(round(seconds * RATE)):
                time.sleep(max(0.0, start + i / RATE - time.monotonic()))
                line = encode(from_observation(observation, time.monotonic_ns()))
                spans.append(timed(lambda line=line: server.publish(line)))
            used = time.process_time() - used
            clients.kill()
    return {"publish_ms": median(spans), "cpu_ms": round(1000 * used / len(spans), 4)}


def one_face() -> Observation:
    engine = Engine(open_model(shipped_model()), InlineSearch(HaarDetector().detect))
    return engine.process(Frame(picture((640, 480), 1), 0, 0))


def be_clients(count: int, port: int) -> None:
    """Reads whatever comes, until it is killed."""
    selector = selectors.DefaultSelector()
    for _ in range(count):
        selector.register(socket.create_connection(("127.0.0.1", port)), selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            assert isinstance(key.fileobj, socket.socket)
            if not key.fileobj.recv(65536):
                return


def main() -> None:
    if sys.argv[1:2] == ["--clients"]:
        be_clients(int(sys.argv[2]), int(sys.argv[3]))
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=5, help="for each number of clients")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    board, load = read_board(), os.getloadavg()[0]
    result: dict[str, Any] = {
        "machine": {"processor": board.cpu, "cores": board.cores, "load_1_min": round(load, 2)},
        "model_sha256": open_model(shipped_model()).file.sha256,
        "rounds": args.rounds,
    }
    parts = {"sizes": by_size, "faces": by_faces, "threads": by_threads}
    for name, measure in parts.items():
        print(name, file=sys.stderr, flush=True)
        result[name] = measure(args.rounds)
    result["clients"] = by_clients(args.seconds)
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    SVG.write_text(plot(result))
    PAGE.write_text(fill(PAGE.read_text(), "growth", page(result)))
    print(json.dumps({name: result[name]["rows"] for name in (*parts, "clients")}))


if __name__ == "__main__":
    main()
