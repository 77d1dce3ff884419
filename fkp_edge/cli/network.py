"""The network that the arguments name."""

from __future__ import annotations

from argparse import Namespace

from fkp_edge.cli.terminal import quiet_runtime
from fkp_edge.model.interpreter import KeypointModel, open_model
from fkp_edge.model.shipped import shipped_model

__all__ = ["open_model_of"]


def open_model_of(args: Namespace) -> KeypointModel:
    """The model that `--model` names, else the shipped int8 one."""
    with quiet_runtime():
        return open_model(
            args.model or shipped_model(),
            threads=args.threads,
            card_required=not args.no_card,
            accelerator=args.accelerator,
        )
