"""Instructions of one inference on a Pi 4 core and on a Pi 5 core, whole and operator by operator.

Usage: python benchmarks/instructions.py ROOTS OUT.json MODEL.tflite [MODEL.tflite ...]

ROOTS as arm64/README.md says; half a minute a model. `make bench-arm64` compares with what is committed, and writes it.
Instructions are not time: slow memory or a hot core takes longer over the same ones.

Operators: the network is cut after each operator in turn, and an operator is charged what its cut takes more than the
cut before, so that the operators add up to the whole. The first carries the interpreter's own share as well, about
5,000. Checked once on the shipped int8 file: each operator alone in a file of its own takes the same plus that share,
to 300 instructions.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from statistics import median
from typing import Any

import flatbuffers
from ai_edge_litert import schema_py_generated as schema
from emulated_pi import BOARDS, HERE, Board, emulator, read_marks, stop, versions

from fkp_edge.model.file import read_model_file

INVOKES = 5


@dataclass(frozen=True)
class Operator:
    """One operator of a flatbuffer."""

    index: int
    name: str
    inputs: str
    """Shapes of what it is given, as 1x48x48x16; constants are left out."""
    weights: str
    """Shape of its weights, empty without."""
    outputs: str
    multiply_accumulates: int


def _shape(tensor: Any) -> tuple[int, ...]:
    return tuple(int(size) for size in tensor.shape) if tensor.shape is not None else ()


def _text(shapes: Sequence[Sequence[int]]) -> str:
    return " ".join("x".join(str(size) for size in shape) for shape in shapes)


def multiply_accumulates(name: str, weights: Sequence[int], output: Sequence[int]) -> int:
    """Of one operator, by the shapes of its weights and its output; 0 for all but convolutions and dense layers."""
    if name == "DEPTHWISE_CONV_2D":
        return prod(output) * weights[1] * weights[2]
    if name in {"CONV_2D", "FULLY_CONNECTED"}:
        return prod(output) * prod(weights[1:])
    return 0


def read_operators(flatbuffer: bytes) -> list[Operator]:
    """The operators of a TFLite flatbuffer in the order in which they run."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer))
    graph = model.subgraphs[0]
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    stored = {number for number, tensor in enumerate(graph.tensors) if model.buffers[tensor.buffer].data is not None}
    found = []
    for index, operator in enumerate(graph.operators):
        code = model.operatorCodes[operator.opcodeIndex]
        name = names[max(code.builtinCode, code.deprecatedBuiltinCode)]
        read = [int(number) for number in operator.inputs if number >= 0]
        if name == "DEQUANTIZE" and read[0] in stored:  # weights that are kept as float16
            stored.add(int(operator.outputs[0]))
        given = [_shape(graph.tensors[number]) for number in read if number not in stored]
        constant = [_shape(graph.tensors[number]) for number in read if number in stored]
        made = [_shape(graph.tensors[number]) for number in operator.outputs]
        weights = constant[:1] if constant and len(constant[0]) > 1 else []
        macs = multiply_accumulates(name, weights[0] if weights else (), made[0])
        found.append(Operator(index, name, _text(given), _text(weights), _text(made), macs))
    return found


def cut_after(flatbuffer: bytes, index: int) -> bytes:
    """The network up to and with operator `index`; its outputs are the tensors that nothing in it reads."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(flatbuffer))
    graph = model.subgraphs[0]
    graph.operators = graph.operators[: index + 1]
    read = {int(number) for operator in graph.operators for number in operator.inputs}
    made = [int(number) for operator in graph.operators for number in operator.outputs]
    ends = {int(number) for number in graph.outputs}
    graph.outputs = [number for number in made if number not in read or number in ends]
    used = {int(number) for number in graph.inputs} | read | set(made)
    for number, tensor in enumerate(graph.tensors):
        if number not in used:
            tensor.buffer = 0  # the empty one: the weights of what was cut off are left out below
    kept = sorted({0} | {tensor.buffer for tensor in graph.tensors})
    for tensor in graph.tensors:
        tensor.buffer = kept.index(tensor.buffer)
    model.buffers = [model.buffers[number] for number in kept]
    model.signatureDefs = model.metadata = model.metadataBuffer = None
    builder = flatbuffers.Builder()
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def parse_marks(text: str) -> list[float]:
    """Instructions of one inference of each file, from the plugin's marks: the median of all invokes but the first."""
    marks = read_marks(text)
    spans = [after - before for before, after in zip(marks[::2], marks[1::2], strict=True)]
    assert len(spans) % INVOKES == 0, f"{len(spans)} invokes marked, expected a multiple of {INVOKES}"
    return [median(spans[start + 1 : start + INVOKES]) for start in range(0, len(spans), INVOKES)]


def count(roots: Path, board: Board, files: Sequence[Path], userland: str = "bookworm") -> list[float]:
    """Instructions of one inference of each file on `board`."""
    command, environment = emulator(roots, board, userland=userland, counting=True)
    # the first file of a process takes 1,500 more, whichever it is: it is counted twice
    full = [*command, HERE / "arm64/invoke.py", str(INVOKES), files[0], *files]
    done = subprocess.run(full, env=environment, capture_output=True, text=True, timeout=900)
    if done.returncode:
        stop(f"the emulated {board.cpu} ended with {done.returncode}: {done.stderr[-2000:]}")
    if "Created TensorFlow Lite XNNPACK delegate" not in done.stderr:
        stop(f"LiteRT ran without XNNPACK on {board.cpu}; is ROOTS as arm64/README.md says?")
    counts = parse_marks(done.stderr)[1:]
    assert len(counts) == len(files), f"{len(counts)} files counted, expected {len(files)}"
    return counts


def describe(path: Path, sha256: str, operators: Sequence[Operator], counts: dict[str, list[float]]) -> dict[str, Any]:
    """The record of one model: `counts` is, for each board, the whole file and then the cut after each operator."""
    rows: list[dict[str, Any]] = []
    for operator in operators:
        at, macs = operator.index, operator.multiply_accumulates
        costs = {name: round(c[at + 1] - (c[at] if at else 0)) for name, c in counts.items()}
        ratios = {name: round(cost / macs, 3) for name, cost in costs.items()} if macs else None
        rows.append(asdict(operator) | {"instructions": costs, "instructions_per_mac": ratios})
    return {
        "model": path.name,
        "sha256": sha256,
        "multiply_accumulates": sum(operator.multiply_accumulates for operator in operators),
        "instructions": {name: round(c[0]) for name, c in counts.items()},
        "sum_of_operators": {name: sum(row["instructions"][name] for row in rows) for name in counts},
        "operators": rows,
    }


def show(record: dict[str, Any]) -> None:
    """Prints the operators, the dearest on the Pi 4 first."""
    total, macs = record["instructions"], record["multiply_accumulates"]
    print(f"{record['model']}: {macs} MACs, " + ", ".join(f"{name} {n}" for name, n in total.items()))
    print(f"{'':3} {'operator':18}{'inputs':27}{'weights':13}{'outputs':14}{'MACs':>8}{'pi4':>9}{'pi5':>9}  per MAC")
    for row in sorted(record["operators"], key=lambda row: -row["instructions"]["pi4"]):
        costs, ratios = row["instructions"], row["instructions_per_mac"]
        line = f"{row['index']:3} {row['name']:18}{row['inputs']:27}{row['weights']:13}{row['outputs']:14}"
        line += f"{row['multiply_accumulates']:8}{costs['pi4']:9}{costs['pi5']:9}"
        print(line + (f"  {ratios['pi4']:.2f} {ratios['pi5']:.2f}" if ratios else ""))


def write_cuts(flatbuffer: bytes, operators: Sequence[Operator], folder: Path) -> list[Path]:
    """Files of the whole network and of the cut after each operator."""
    contents = [flatbuffer, *(cut_after(flatbuffer, operator.index) for operator in operators)]
    files = [folder / f"{number}.tflite" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    return files


def measure(roots: Path, paths: Sequence[Path]) -> dict[str, Any]:
    """The records of model files, a table printed for each."""
    records = []
    for path in paths:
        model = read_model_file(path, card_required=False)
        operators = read_operators(model.flatbuffer)
        with tempfile.TemporaryDirectory() as folder:
            files = write_cuts(model.flatbuffer, operators, Path(folder))
            counts = {name: count(roots, board, files) for name, board in BOARDS.items()}
        records.append(describe(path, model.sha256, operators, counts))
        show(records[-1])
    return {"versions": {"bookworm": versions(roots, "bookworm")}, "models": records}


def main(roots: Path, out: Path, paths: Sequence[Path]) -> None:
    out.write_text(json.dumps(measure(roots, paths), indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), [Path(name) for name in sys.argv[3:]])
