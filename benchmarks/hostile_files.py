"""Hostile files: a million mangled inputs for every parser, 5,000 mutated models, 100 picture bombs.

    python benchmarks/hostile_files.py OUT.json [--inputs 1000000] [--models 5000] [--bombs 100] [--seed 1] [--jobs 2]

Every input gives a result or an error of the package's own; whatever else is raised is counted with its text, and the
program ends with 1. Models are the shipped int8 file with its flatbuffer mutated and its hash computed again; they
run where `open_model` runs them, in a child under limits. Bombs go where the page's uploads go.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import multiprocessing
import os
import random
import struct
import sys
import tempfile
import time
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
from hostile_inputs import mangled, parsers

from fkp_edge.app.config import RunConfig
from fkp_edge.core.keypoints import FKP15
from fkp_edge.core.picture_headers import read_header
from fkp_edge.core.settings import format_toml, read_toml
from fkp_edge.core.subprocesses import Worker, WorkerError
from fkp_edge.data import read_kaggle, read_pts
from fkp_edge.data.decoder import UPLOADS, Decoder
from fkp_edge.errors import FkpEdgeError
from fkp_edge.model.file import encode_model_file, parse_model_file, read_model_file
from fkp_edge.model.rehearsal import MODULE, try_out
from fkp_edge.model.shipped import shipped_model
from fkp_edge.model.tail import TailError, read_arrays
from fkp_edge.train.containers import checked_config

SHIPPED = read_model_file(shipped_model())
MAPPED = 20_000
"""Bytes at the flatbuffer's end that say what it computes; the weights stand before them."""
Target = tuple[str, bytes, Callable[[bytes], object]]


def file_parsers(folder: Path) -> list[Target]:
    """Name, a good input, and what reads it, of every kind of file."""
    assert SHIPPED.card
    picture = np.full((40, 50, 3), 90, np.uint8)
    coded = [cv2.imencode(kind, picture)[1].tobytes() for kind in (".jpg", ".png", ".bmp", ".webp", ".ppm", ".tif")]
    coded.append(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes())
    small = encode_model_file(b"", SHIPPED.card, SHIPPED.golden[:1])
    start = SHIPPED.flatbuffer[:8]
    row = ",".join(["48"] * 30) + "," + " ".join(["7"] * 9216)
    names = [f"{name}_{axis}" for name in FKP15.names for axis in "xy"]
    table = (",".join([*names, "Image"]) + "\n" + row + "\n").encode()
    golden = zipfile.ZipFile(io.BytesIO(small)).read("golden.npz")
    layer = {"class_name": "Dense", "module": "keras.layers", "config": {"units": 3, "activation": "relu"}}
    config = json.dumps({"class_name": "Sequential", "config": {"layers": [layer]}}).encode()
    pts = b"version: 1\nn_points: 68\n{\n" + b"1.5 2.5\n" * 68 + b"}\n"

    def of_file(name: str, read: Callable[[Path], object]) -> Callable[[bytes], object]:
        def read_it(data: bytes) -> object:
            (folder / name).write_bytes(data)
            return read(folder / name)

        return read_it

    def inspect(data: bytes) -> object:
        try:
            parsed = json.loads(data)
        except (ValueError, RecursionError):  # as `containers` has it
            return None
        return checked_config(parsed, "model.keras")

    return [
        *((f"read_header {i}", content, read_header) for i, content in enumerate(coded)),
        ("parse_model_file", small, lambda data: parse_model_file(Path("m"), start + data)),
        ("read_arrays", golden, lambda data: read_arrays(data, 2**25)),
        ("read_kaggle", table, of_file("t.csv", read_kaggle)),
        ("read_toml", format_toml(RunConfig()).encode(), of_file("c.toml", lambda path: read_toml(path, RunConfig))),
        ("checked_config", config, inspect),
        ("read_pts", pts, of_file("a.pts", read_pts)),
    ]


def attack(chance: random.Random, count: int) -> dict[str, Any]:
    """Mangled inputs for every parser in turn."""
    outcomes: dict[str, Counter[str]] = {}
    escaped: list[str] = []
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:  # noqa: S108
        targets = [*parsers(Path(folder)), *file_parsers(Path(folder))]
        for i in range(count):
            name, good, parse = targets[i % len(targets)]
            counts = outcomes.setdefault(name.split()[0], Counter())
            data = mangled(chance, good)
            try:
                parse(data)
                counts["read"] += 1
            except (FkpEdgeError, TailError):
                counts["refused"] += 1
            except Exception as error:  # what must not be
                counts["escaped"] += 1
                escaped.append(f"{name}: {type(error).__name__}: {str(error)[:100]}; input {data[:60]!r}")
    return {
        "inputs": count,
        "parsers": {name: dict(counts) for name, counts in outcomes.items()},
        "escaped": escaped[:20],
    }


def mutated(chance: random.Random) -> bytes:
    """The shipped model file with some bytes of its graph changed, and a card that knows the new hash."""
    assert SHIPPED.card
    flatbuffer = bytearray(SHIPPED.flatbuffer)
    for _ in range(chance.choice((1, 1, 2, 4, 8))):
        at = chance.randrange(len(flatbuffer) - MAPPED, len(flatbuffer))
        word = at & ~3
        kind = chance.randrange(4)
        if kind == 0:
            flatbuffer[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            flatbuffer[at] = chance.choice((0, 1, 127, 128, 255))
        elif kind == 2:
            flatbuffer[word : word + 4] = struct.pack("<i", chance.choice((2**31 - 1, 0, -1, 1)))
        else:
            flatbuffer[word : word + 4] = struct.pack("<i", chance.randrange(-3, 40))
    digest = hashlib.sha256(flatbuffer).hexdigest()
    card = msgspec.structs.replace(SHIPPED.card, flatbuffer_sha256=digest, flatbuffer_bytes=len(flatbuffer))
    return encode_model_file(bytes(flatbuffer), card, SHIPPED.golden[:1])


def attack_with_models(chance: random.Random, count: int) -> dict[str, Any]:
    """What became of mutated models; the parent lives, or this would not be written."""
    outcomes: Counter[str] = Counter()
    with Worker(MODULE) as worker:
        for _ in range(count):
            try:
                text = try_out(worker, mutated(chance))
                outcomes["refused in a line" if text else "runs"] += 1
            except WorkerError as error:
                outcomes[f"the child {error}"] += 1
    return {"models": count, "outcomes": dict(outcomes)}


def in_parallel(
    work: Callable[[random.Random, int], dict[str, Any]], count: int, seed: int, jobs: int
) -> dict[str, Any]:
    """What `work` of `count` in `jobs` processes found, each with a seed of its own, added up."""
    shares = [count // jobs + (i < count % jobs) for i in range(jobs)]
    with ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn")) as pool:  # raises where a process is killed
        parts = list(pool.map(work_with_seed, [work] * jobs, [seed * 1000 + i for i in range(jobs)], shares))
    total = parts[0]
    for part in parts[1:]:
        total = added(total, part)
    return total


def work_with_seed(work: Callable[[random.Random, int], dict[str, Any]], seed: int, count: int) -> dict[str, Any]:
    return work(random.Random(seed), count)  # noqa: S311 - no secrets


def added(one: Any, other: Any) -> Any:
    """Counts and lists of two results together."""
    if isinstance(one, dict):
        return {
            key: added(one[key], other[key]) if key in one and key in other else one.get(key, other.get(key))
            for key in one | other
        }
    return one + other


def bombs() -> list[bytes]:
    """Pictures that are small to send and large to open."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    def png(width: int, height: int, depth: int, kind: int, data: bytes) -> bytes:
        head = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
        body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + body

    flat = np.full((4800, 4800), 90, np.uint8)
    progressive = cv2.imencode(".jpg", flat, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    last = progressive.rindex(b"\xff\xda")
    scans = [progressive[:last] + progressive[last:-2] * count + b"\xff\xd9" for count in (12, 60, 500)]
    frame = struct.pack(">BHHB", 8, 5000, 5000, 4) + bytes([1, 0x11, 0, 2, 0x11, 0, 3, 0x11, 0, 4, 0x11, 0])
    cmyk = b"\xff\xd8\xff\xc2" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xda\0\x0e\4" + bytes(400_000)
    return [
        *scans,
        cmyk,
        png(25_000, 25_000, 8, 2, bytes(10**8)),
        png(5000, 5000, 16, 6, bytes(10**7)),
        png(5000, 5000, 8, 6, bytes(5000 * 20_001)),
        png(60_000, 60_000, 1, 0, bytes(10**7)),
    ]


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def attack_with_bombs(count: int) -> dict[str, Any]:
    """Time and memory that bombs take, each in a child of its own as on the page."""
    made, outcomes, longest = bombs(), Counter[str](), 0.0
    before = 0
    for number in range(count + len(made)):
        if number == len(made):  # once each to warm up
            before = resident()
        started = time.monotonic()
        with Decoder(UPLOADS) as decoder:
            try:
                decoder.decode(made[number % len(made)])
                outcomes["opened"] += 1
            except FkpEdgeError:
                outcomes["refused"] += 1
        longest = max(longest, time.monotonic() - started)
    grown = resident() - before
    return {
        "bombs": count,
        "outcomes": dict(outcomes),
        "longest_s": round(longest, 2),
        "grown_mb": round(grown / 2**20, 2),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--inputs", type=int, default=1_000_000)
    parser.add_argument("--models", type=int, default=5000)
    parser.add_argument("--bombs", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    result = {
        "seed": args.seed,
        "files": in_parallel(attack, args.inputs, args.seed, args.jobs),
        "mutated": in_parallel(attack_with_models, args.models, args.seed, args.jobs),
        "pictures": attack_with_bombs(args.bombs),
    }
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))
    return 1 if result["files"]["escaped"] or result["pictures"]["grown_mb"] > 5 else 0


if __name__ == "__main__":
    sys.exit(main())
