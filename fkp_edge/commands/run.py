"""`fkp-edge run`: camera or recording -> keypoints on a socket; or what it would do."""

from __future__ import annotations

from argparse import Namespace

from fkp_edge.commands.live import run_live
from fkp_edge.commands.network import open_model_of
from fkp_edge.commands.publishing import read_publish_options
from fkp_edge.commands.run_config import as_arguments, read_run_config
from fkp_edge.settings import format_toml

__all__ = ["run"]


def run(args: Namespace) -> int:
    """Runs until the source ends or a signal comes."""
    config = read_run_config(args)
    if args.print_config:
        print(format_toml(config), end="")
        return 0
    model = open_model_of(as_arguments(config))
    if args.check:
        read_publish_options(as_arguments(config))  # opens no address: a service may hold it
        print(f"{args.config or 'the defaults'}: good, with {model.file.path} ({model.file.sha256[:8]})")
        return 0
    return run_live(config, model)
