"""`fkp-edge model`: changes the file that a service runs, and takes the change back."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

from fkp_edge.app.config import RunConfig
from fkp_edge.cli.terminal import quiet_runtime
from fkp_edge.core.settings import read_toml
from fkp_edge.errors import InputError
from fkp_edge.model.deployment import Placement, install_model, previous_of, roll_back
from fkp_edge.model.file import ModelFile
from fkp_edge.model.shipped import find_model

__all__ = ["model", "next_step"]

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
