"""`fkp-edge verify`: whether a model file gives on this device what it gave on the desktop."""

from __future__ import annotations

from argparse import Namespace

from fkp_edge.cli.terminal import quiet_runtime, to_json
from fkp_edge.model.finder import open_any
from fkp_edge.model.verify import Verification
from fkp_edge.model.verify import verify as verify_model

__all__ = ["verify"]


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
