"""`fkp-edge models`, `model` and `verify`: the networks that ship, the file that a service runs, golden cases."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from fkp_edge.app.config import RunConfig
from fkp_edge.cli.terminal import quiet_runtime, to_json
from fkp_edge.core.settings import read_toml
from fkp_edge.errors import InputError
from fkp_edge.model.deployment import Placement, ShippedModel, install_model, list_models, previous_of, roll_back
from fkp_edge.model.file import ModelFile
from fkp_edge.model.finder import open_any
from fkp_edge.model.shipped import find_model
from fkp_edge.model.verify import Verification
from fkp_edge.model.verify import verify as verify_model

__all__ = ["model", "models", "next_step", "verify"]


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


SERVICE_CONFIG = Path("/etc/fkp-edge/config.toml")
SERVICE_FOLDER = Path("/var/lib/fkp-edge")
"""Where relative paths of the service's configuration begin."""
RESTART = "sudo systemctl restart fkp-edge"


def model(args: Namespace) -> int:
    """Changes the file; 1 where the new one is not good."""
    actions = {"install": _install, "rollback": _roll_back}
    with quiet_runtime():
        return actions[args.action](args)


def _install(args: Namespace) -> int:
    """A new file, if it is good; 1 where it is not."""
    placed = install_model(args.file, args.place, accelerator=args.accelerator)
    return _tell(args, placed, f"{args.file} is at {args.place}")


def _roll_back(args: Namespace) -> int:
    """The file before; 1 where it is not good."""
    placed = roll_back(args.place, accelerator=args.accelerator, tell=_name_it)
    return _tell(args, placed, f"the file before is at {args.place} again")


def _name_it(path: Path, file: ModelFile) -> None:
    print(f"taking {path}: {file.card.name if file.card else 'no card'} ({file.sha256[:8]})", file=sys.stderr)


def _tell(args: Namespace, placed: Placement, done: str) -> int:
    named, found = placed.sha256[:8], placed.verification
    if first := found.first:
        print(
            f"refused ({named}): {first.stage} differs by {first.found:.4g} {first.unit} in golden case {first.case}, "
            f"expected at most {first.allowed:g}; {args.place} is as it was"
        )
        return 1
    if not placed.is_new:
        print(f"{args.place} is this file already ({named})")
        return 0
    print(f"{done} ({named}); {found.cases} golden cases give what they gave, on {found.runs_on}")
    if previous_of(args.place).exists():
        print(f"the other one is {previous_of(args.place)}; back: fkp-edge model rollback {args.place}")
    print(next_step(args.place.absolute()))
    return 0


def next_step(place: Path, config: Path = SERVICE_CONFIG) -> str:
    """What makes the service run the file at `place`, which the configuration may not name."""
    line = f'model = "{place}"'
    if not config.exists():
        return f"no service is configured here; fkp-edge run --model {place} takes it"
    try:
        named = read_toml(config, RunConfig).model
    except InputError as error:
        return f"whether the service takes it is not known: {error}; expected {line} there"
    if SERVICE_FOLDER / find_model(named) == place:
        return f"the service takes it when it starts: {RESTART}"
    return f'the service does not take it: {config} says model = "{named}"; write {line} there, then {RESTART}'


def verify(args: Namespace) -> int:
    """Prints each stage of the golden cases; 1 where they do not reproduce."""
    with quiet_runtime():
        model = open_any(args.model, card_required=False, accelerator=args.accelerator)
        found = verify_model(model)
    if args.json:
        named = {"model": args.model.name, "sha256": model.file.sha256, "reproduces": found.first is None}
        print(to_json(named | {"first": found.first} | vars(found)))
    else:
        print(f"{args.model.name}: {found.cases} golden cases on {found.runs_on}")
        for stage in found.stages:
            worst = found.worst(stage)
            print(f"{stage:<10}{worst.found:.4g} {worst.unit}, at most {worst.allowed:g}; case {worst.case}")
        print(_verdict(found))
    return 0 if found.first is None else 1


def _verdict(found: Verification) -> str:
    if (first := found.first) is None:
        return f"reproduces the desktop within {found.distance_px:.3f} px"
    return (
        f"differs from the desktop: {first.stage} by {first.found:.4g} {first.unit}, expected at most "
        f"{first.allowed:g}, in case {first.case} of {found.cases}"
    )
