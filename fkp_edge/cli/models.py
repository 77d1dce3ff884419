"""`fkp-edge models`: the networks that ship."""

from __future__ import annotations

from argparse import Namespace

from fkp_edge.cli.terminal import to_json
from fkp_edge.model.shipped.catalogue import ShippedModel, list_models

__all__ = ["models"]


def models(args: Namespace) -> int:
    """Prints a row a model; 0."""
    found = list_models()
    print(to_json(found) if args.json else _table(found))
    return 0


def _table(found: list[ShippedModel]) -> str:
    head = f"{'name':<24}{'points':>7}{'computes in':>13}{'file, MB':>10}{'NME, %':>8}{'on a Pi 4':>11}{'Pi 5':>7}"
    lines = [head]
    for model in found:
        counts = (model.instructions.get(core) for core in ("pi4", "pi5"))
        millions = ["-" if count is None else f"{count / 1e6:.2f}" for count in counts]
        lines.append(
            f"{model.name:<24}{model.points:>7}{model.precision:>13}{model.file_bytes / 1e6:>10.2f}"
            f"{model.nme_percent:>8.2f}{millions[0]:>11}{millions[1]:>7}"
        )
    lines += [
        "",
        "NME: error of the points on validation faces, in percent of the distance between the outer eye corners.",
        "On a Pi 4 and Pi 5: millions of instructions of an inference on one core.",
        f"--model NAME takes one; without, it is {found[0].name}.",
    ]
    return "\n".join(lines)
