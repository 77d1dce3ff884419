"""`fkp-edge train`: trains a recipe."""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from typing import TYPE_CHECKING, Any

from fkp_edge.cli.terminal import desktop_stderr
from fkp_edge.core.settings import read_values
from fkp_edge.errors import InputError
from fkp_edge.train import NEEDED  # noqa: F401 - says first of all what is not installed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fkp_edge.library.making import Training
    from fkp_edge.train.sweep import SweepLine

__all__ = ["train"]


def train(args: Namespace) -> int:
    """Trains, or goes on, and says in three lines what came of it: what, how good, what to do next."""
    # what is missing is said before NumPy is imported, what is wrong in the recipe before OpenCV and TensorFlow are
    read_values(args.recipe)
    if not args.data.exists():
        raise InputError(f"{args.data} does not exist; expected a folder with labelled faces")
    from fkp_edge.train.registry import read_recipe

    read_recipe(args.recipe)
    from fkp_edge.library import making

    where = {"data": args.data, "out": args.out, "start": args.start}
    how = {"trust_code": args.trust_model_code, "resume": args.resume}
    with desktop_stderr():
        try:
            if args.sweep:
                lines = _table(making.sweep(args.recipe, args.sweep, **where, **how))
            else:
                lines = _verdict(args, making.train(args.recipe, **where, **how))
        except KeyboardInterrupt:
            print(f"\nstopped; to go on: {_again(args)}", file=sys.stderr)
            raise
    print("\n".join(lines))
    return 0


def _again(args: Namespace) -> str:
    """The command that goes on with this run."""
    words = ["fkp-edge", "train", args.recipe, "--data", args.data, "--out", args.out]
    words += ["--start", args.start] if args.start else []
    words += ["--sweep", args.sweep] if args.sweep else []
    words += ["--trust-model-code"] if args.trust_model_code else []
    return shlex.join([*map(str, words), "--resume"])


def _table(lines: Sequence[SweepLine]) -> list[str]:
    """A sweep's points, the most accurate first."""
    wide = max(len(line.point) for line in lines)
    return [
        f"{line.point:{wide}} mean NME {line.mean_nme_percent:.2f} % ("
        + ", ".join(f"{name} {nme:.2f}" for name, nme in line.nme_percent.items())
        + f"), {line.parameters:,} parameters"
        for line in sorted(lines, key=lambda line: line.mean_nme_percent)
    ]


def _verdict(args: Namespace, result: Training) -> list[str]:
    figures = "; ".join(f"{name} {_figure(found)}" for name, found in result.validation.items())
    if result.model.suffix != ".keras":
        return [f"done: {result.model}", figures, f"next: look at the pictures in {args.out}"]
    out = args.out.with_suffix(".tflite") if args.out.suffix else args.out.with_name(f"{args.out.name}-int8.tflite")
    command = ["fkp-edge", "convert", result.model, "--data", args.data, "--out", out.name]
    return [f"trained: {result.model}", f"on validation faces: {figures}", f"next: {shlex.join(map(str, command))}"]


def _figure(found: dict[str, Any]) -> str:
    if "recall_percent" in found:
        return f"proposes {found['recall_percent']:.1f} % of {found['faces']} faces"
    return (
        f"NME {found['nme_percent']:.2f} % (RMSE {found['rmse_px']:.2f} px, MAE {found['mae_px']:.2f} px, "
        f"{found['faces']} faces)"
    )
