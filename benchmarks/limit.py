"""How far the shipped network and the engine are from what the same runtime reaches on this machine, one core.

    python benchmarks/limit.py OUT [--rounds 20]

The yardstick is LiteRT's own: int8 convolutions of 256 channels, large enough that nothing but the multiplication
counts, made here with TensorFlow (fkp-edge[train]) and timed in turns with the flagship, by the same calls. Where the
network's time goes comes from cutting it after each operator, as instructions.py does, in the same turns. One minute.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from instructions import Operator, cut_after, read_operators
from performance_page import PAGE, fill, table

from fkp_edge.bench.loops import Timeline, frame_at, record_frames
from fkp_edge.core.observation import State
from fkp_edge.device.board import read_board
from fkp_edge.device.detection.search import SearchSettings, open_search
from fkp_edge.device.tracking.engine import Engine
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.runtimes import find_runtime
from fkp_edge.model.shipped import shipped_model

SHAPES = ((1, 48, 256), (1, 28, 256), (3, 28, 256), (3, 14, 256))
"""Kernel, side and channels of the yardsticks; the fastest counts."""
TURN_S = 0.05
STAGES = ("crop", "infer", "decode", "filter", "pose")
KINDS = {"CONV_2D": "convolutions", "DEPTHWISE_CONV_2D": "depthwise convolutions"}


def yardstick(kernel: int, side: int, channels: int) -> tuple[bytes, int]:
    """An int8 convolution as a flatbuffer, and its multiply-accumulates."""
    from fkp_edge.train.backend import keras, tf

    given = keras.layers.Input((side, side, channels), batch_size=1)
    made = keras.layers.Conv2D(channels, kernel, padding="same", activation="relu")(given)
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(given, made))
    rng = np.random.default_rng(0)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [rng.normal(0, 1, (1, side, side, channels)).astype(np.float32)] for _ in range(4)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert()), side * side * channels * channels * kernel * kernel


class Timed:
    """A flatbuffer that takes turns."""

    def __init__(self, flatbuffer: bytes) -> None:
        self._content = flatbuffer  # the runtime reads it as long as it lives
        self._interpreter = find_runtime().interpreter(model_content=flatbuffer, num_threads=1)
        self._interpreter.allocate_tensors()
        detail = self._interpreter.get_input_details()[0]
        noise = np.random.default_rng(0).integers(0, 100, detail["shape"]).astype(detail["dtype"])
        self._interpreter.set_tensor(detail["index"], noise)
        self._turns: list[float] = []

    def turn(self, seconds: float) -> None:
        self._interpreter.invoke()
        spans = []
        end = time.perf_counter() + seconds
        while time.perf_counter() < end or len(spans) < 9:
            start = time.thread_time_ns()  # CPU time: other work on the machine moves it little
            self._interpreter.invoke()
            spans.append((time.thread_time_ns() - start) / 1e6)
        self._turns.append(float(np.median(spans)))

    @property
    def ms(self) -> float:
        """Of an inference: the least of the turns' medians, since other work on the machine only ever adds."""
        return min(self._turns)


def by_kind(operators: list[Operator], cuts: list[float]) -> list[dict[str, Any]]:
    """Time and work of each kind of operator; an operator takes what its cut takes more than the one before."""
    spans = np.diff([0.0, *cuts])
    found: dict[str, list[float]] = {}
    for operator, span in zip(operators, spans, strict=True):
        kind = KINDS.get(operator.name, "all else")
        if operator.index == 0:
            kind = "the first operator, with the call itself"
        row = found.setdefault(kind, [0, 0.0, 0])
        row[0] += 1
        row[1] += float(span)
        row[2] += operator.multiply_accumulates
    return [
        {"kind": kind, "operators": int(count), "ms": round(ms, 5), "multiply_accumulates": int(macs)}
        for kind, (count, ms, macs) in found.items()
    ]


def network(rounds: int) -> dict[str, Any]:
    """The flagship beside the yardsticks."""
    flatbuffer = open_model(shipped_model()).file.flatbuffer
    operators = read_operators(flatbuffer)
    macs = sum(operator.multiply_accumulates for operator in operators)
    made = {f"{k}x{k}, {side}x{side}x{channels}": yardstick(k, side, channels) for k, side, channels in SHAPES}
    flagship = Timed(flatbuffer)
    large = {name: Timed(content) for name, (content, _) in made.items()}
    cuts = [Timed(cut_after(flatbuffer, operator.index)) for operator in operators]
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr, flush=True)
        for each in (flagship, *large.values()):
            each.turn(TURN_S)
        for each in cuts:
            each.turn(0.0)
    rates = {name: made[name][1] / each.ms / 1e6 for name, each in large.items()}
    best, rate = max(rates.values()), macs / flagship.ms / 1e6
    kinds = by_kind(operators, [each.ms for each in cuts])
    for kind in kinds:
        kind["gmacs_per_s"] = round(kind["multiply_accumulates"] / kind["ms"] / 1e6, 2)
        kind["above_best_ms"] = round(kind["ms"] - kind["multiply_accumulates"] / best / 1e6, 5)
    return {
        "multiply_accumulates": macs,
        "ms": round(flagship.ms, 4),
        "gmacs_per_s": round(rate, 2),
        "large_convolutions_gmacs_per_s": {name: round(value, 2) for name, value in rates.items()},
        "best_gmacs_per_s": round(best, 2),
        "share_of_best": round(rate / best, 4),
        "ms_at_best": round(macs / best / 1e6, 4),
        "kinds": kinds,
    }


def engine(rounds: int) -> dict[str, Any]:
    """Tracked frames of the demo: what the engine takes beside the network."""
    frames = record_frames("demo")[:240]
    times = Timeline()
    model = open_model(shipped_model())
    tracked: list[int] = []
    for _ in range(max(1, rounds // 5)):
        worker = Engine(model, open_search(SearchSettings(), times, live=False), times=times)
        for i in range(len(frames)):
            start = time.perf_counter_ns()
            state = worker.process(frame_at(frames, i, i * 33_333_333)).state
            if i and state is State.TRACKING:
                tracked.append(time.perf_counter_ns() - start)
    spans = times.between(0, time.monotonic_ns())
    frame = float(np.median(tracked)) / 1e6
    stages = {stage: round(float(np.median(spans[stage])) / 1e6, 4) for stage in STAGES}
    rest = frame - sum(stages.values())
    return {
        "frames": len(tracked),
        "frame_ms": round(frame, 4),
        "stages_ms": stages | {"rest": round(rest, 4)},
        "overhead_share": round(1 - stages["infer"] / frame, 4),
    }


def page(result: dict[str, Any]) -> str:
    """What stands in docs/performance.md."""
    net, eng = result["network"], result["engine"]
    rows = [
        (
            kind["kind"],
            str(kind["operators"]),
            f"{kind['multiply_accumulates'] / 1e6:.2f} M",
            f"{kind['ms']:.3f}",
            f"{kind['gmacs_per_s']:.1f}",
            f"{kind['above_best_ms']:.3f}",
        )
        for kind in net["kinds"]
    ]
    worst = max(net["kinds"], key=lambda kind: kind["above_best_ms"])
    gap, best = net["ms"] - net["ms_at_best"], net["best_gmacs_per_s"]
    large = len(net["large_convolutions_gmacs_per_s"])
    stages = {name: ms for name, ms in eng["stages_ms"].items() if name != "infer"}
    listed = ", ".join(f"{name} {1000 * ms:.0f} us" for name, ms in sorted(stages.items(), key=lambda item: -item[1]))
    most = max(stages, key=stages.__getitem__)
    head = ("operators", "number", "multiply-accumulates", "ms", "10^9 a second", "ms above the best rate")
    return f"""\
The int8 flagship does {net["gmacs_per_s"]:.1f} thousand million multiply-accumulates a second on one core. The best
of {large} large int8 convolutions reaches {best:.1f} in the same run,
so the network runs at {100 * net["share_of_best"]:.0f} % of it ({result["machine"]["processor"]}, {result["runtime"]}).

{table(head, rows)}

To close it, {gap:.3f} of {net["ms"]:.3f} ms would have to go; the largest part, {worst["above_best_ms"]:.3f} ms, from
{worst["kind"]}. Depthwise convolutions use each weight for one channel only, and a layer of 16 to 64
channels fills an int8 kernel's tiles badly; fewer and wider layers of plain convolutions come nearer to the best rate,
at more multiply-accumulates for the same accuracy. What counts is milliseconds at an accuracy, not this share.

A tracked frame takes {eng["frame_ms"]:.3f} ms on the wall: {eng["stages_ms"]["infer"]:.3f} in the network, whose time
above is the thread's CPU, the least of its rounds, and {100 * eng["overhead_share"]:.0f} % outside it:
{listed}
("rest" is what joins them: motion, identities, records). To close it, each would have to leave Python and NumPy for one
compiled pass; the largest is {most}.
"""


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    board, load = read_board(), os.getloadavg()[0]
    result = {
        "machine": {"processor": board.cpu, "cores": board.cores, "load_1_min": round(load, 2)},
        "runtime": str(find_runtime()),
        "model_sha256": open_model(shipped_model()).file.sha256,
        "rounds": args.rounds,
        "network": network(args.rounds),
        "engine": engine(args.rounds),
    }
    args.out.write_text(json.dumps(result, indent=1) + "\n")
    PAGE.write_text(fill(PAGE.read_text(), "limit", page(result)))
    print(json.dumps({"share_of_best": result["network"]["share_of_best"], "engine": result["engine"]}))


if __name__ == "__main__":
    main()
