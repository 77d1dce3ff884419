"""`fkp-edge model`: changes the file that a service runs, and takes the change back."""

from __future__ import annotations

from argparse import Namespace

from fkp_edge.commands.terminal import quiet_runtime
from fkp_edge.model_place import Placement, install_model, previous_of, roll_back

__all__ = ["model"]

RESTART = "the service takes it when it starts: sudo systemctl restart fkp-edge"


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
    placed = roll_back(args.place, accelerator=args.accelerator)
    return _tell(args, placed, f"the file before is at {args.place} again")


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
    print(RESTART)
    return 0
