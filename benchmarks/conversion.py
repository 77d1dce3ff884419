"""What pruning and quantisation cost and what they lose: the network that ships and published ones, each gated.

python benchmarks/conversion.py DATA OUT [--published KAGGLE RUNS] [--arm64 ROOTS]

DATA has train/, val/ and test/. OUT keeps the files, their reports and one JSON a conversion, so that a killed run goes
on where it was; fine-tuning takes an hour on two cores. KAGGLE and RUNS are the folders of published.py, ROOTS that of
instructions.py. Losses are measured on val, where the gate judges, and on test. Writes results/convert.json.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from emulated_pi import BOARDS
from instructions import count

from fkp_edge import data
from fkp_edge.convert.attempts import Job, prepare_job
from fkp_edge.convert.cards import keypoint_model
from fkp_edge.convert.pages import write_report
from fkp_edge.convert.quantize import to_float
from fkp_edge.convert.recipe import ConvertRecipe
from fkp_edge.convert.run import convert
from fkp_edge.core.keypoints import FKP15
from fkp_edge.core.settings import read_toml
from fkp_edge.data import FaceSet
from fkp_edge.evaluation.comparison import compare, labelled_crops, predict_crops
from fkp_edge.library.making import haar_proposer
from fkp_edge.model.interpreter import KeypointModel, open_model

REPOSITORY = Path(__file__).resolve().parents[1]
RESULT = REPOSITORY / "benchmarks/results/convert.json"
FLAGSHIP = REPOSITORY / "runs/keypointnet/model.keras"
RECIPES = ("int8", "small", "sparse")
"""convert/NAME.toml, of the network that ships."""
PREFIX = "published-"
PUBLISHED = ("lenet5", "lenet5_knn", "conv_gap", "conv_small", "keypointnet")
COUNTED = ("int8", "small")
"""Conversions whose instructions are counted."""


def measure(job: Job, file: Path, test: list[FaceSet]) -> dict[str, Any]:
    """Converts to `file`; the row of the result."""
    result = convert(job)
    report = result.report
    write_report(report, file)
    row: dict[str, Any] = {"name": file.stem.removesuffix("-int8"), "passed": report.passed, "verdict": report.verdict}
    row |= {"max_loss_percent": report.max_loss_percent, "val": msgspec.to_builtins(report.total.overall)}
    row |= {"pruning": report.pruning, "quantisation": report.quantisation, "macs": report.macs}
    row["steps"] = {step.name: msgspec.to_builtins(step.comparison.overall) for step in report.steps}
    row["sizes"] = {
        size.name: {"bytes": size.bytes, "gzip_bytes": size.gzip_bytes, "loss_percent": size.loss.loss_percent}
        for size in report.sizes
    }
    if report.passed:
        result.save(file, overwrite=True)
        row["test"] = losses(keypoint_model(job.original, to_float(job.original)), open_model(file), test)
    return row


def losses(before: KeypointModel, after: KeypointModel, sets: list[FaceSet]) -> dict[str, Any]:
    """From one network to the other on each set, crops as the gate's."""
    found = {}
    for faces in sets:
        crops = labelled_crops([faces])
        points = [predict_crops(model, crops.pixels) for model in (before, after)]
        found[faces.name] = msgspec.to_builtins(compare(points[0], points[1], crops).overall)
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as Markdown."""
    lines = [
        "| conversion | multiply-accumulates | int8 file kB | compressed kB | lost on val, at most (95 %) | on test |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        size, val = row["sizes"]["int8"], row["val"]
        test = ", ".join(f"{name} {loss['loss_percent']:+.2f} %" for name, loss in row.get("test", {}).items())
        kilobytes = f"{size['bytes'] / 1000:.0f} | {size['gzip_bytes'] / 1000:.0f}"
        lost = f"{val['loss_percent']:+.2f} %, {val['interval_percent'][1]:+.2f} %"
        lines.append(f"| {row['name']} | {row['macs'][1] / 1e6:.2f} M | {kilobytes} | {lost} | {test or 'refused'} |")
    return "\n".join(lines)


def run_one(args: argparse.Namespace) -> None:
    """One conversion, in a process of its own: TensorFlow fixes how it shares the processor when it first works."""
    name = args.only
    if name in RECIPES:
        recipe = read_toml(REPOSITORY / f"convert/{name}.toml", ConvertRecipe)
        model, source, test = FLAGSHIP, args.data, data.load(args.data / "test")
    else:
        kaggle, runs = args.published
        recipe, model, source = ConvertRecipe(), runs / name.removeprefix(PREFIX) / "model.keras", kaggle
        test = [data.load_one(kaggle / "test.csv", FKP15)]
    file = args.out / f"{name}-int8.tflite"
    propose = haar_proposer()
    job = prepare_job(model, recipe, data_dir=source, propose=propose, work=file.with_suffix(".work"))
    (args.out / f"{name}.json").write_text(json.dumps(measure(job, file, test), indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder with train/, val/ and test/")
    parser.add_argument("out", type=Path, help="folder for the files")
    parser.add_argument("--published", type=Path, nargs=2, metavar=("KAGGLE", "RUNS"), help="also published networks")
    parser.add_argument("--arm64", type=Path, metavar="ROOTS", help="also count instructions")
    parser.add_argument("--only", metavar="NAME", help="one conversion, without the result file")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    if args.only:
        run_one(args)
        return 0
    names = [*RECIPES, *(PREFIX + name for name in PUBLISHED if args.published)]
    for name in names:
        if not (args.out / f"{name}.json").exists():
            print(f"== {name}", file=sys.stderr, flush=True)
            subprocess.run([sys.executable, *sys.argv, "--only", name], check=True)
    rows = [json.loads((args.out / f"{name}.json").read_text()) for name in names]
    if args.arm64:
        counted = [row for row in rows if row["name"] in COUNTED and row["passed"]]
        for board in BOARDS:
            files = [args.out / f"{row['name']}-int8.tflite" for row in counted]
            for row, instructions in zip(counted, count(args.arm64, BOARDS[board], files), strict=True):
                row.setdefault("instructions", {})[board] = round(instructions)
    RESULT.write_text(json.dumps({"rows": rows}, indent=1) + "\n")
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
