"""`fkp-edge run`: camera or recording -> keypoints on a socket; or what it would do."""

from __future__ import annotations

from argparse import Namespace

import cv2

from fkp_edge.commands.live import run_live
from fkp_edge.commands.network import open_model_of
from fkp_edge.commands.publishing import PublishOptions, read_publish_options
from fkp_edge.commands.run_config import as_arguments, read_run_config
from fkp_edge.device.contact_sheet import check_sheet
from fkp_edge.device.sources import check_source
from fkp_edge.keypoints import Schema
from fkp_edge.settings import format_toml
from fkp_edge.stream.recording import check_recording

__all__ = ["check_run", "run"]


def run(args: Namespace) -> int:
    """Runs until the source ends or a signal comes."""
    cv2.setNumThreads(1)  # or OpenCV's threads take the cores from the frame path; the process is ours alone
    config = read_run_config(args)
    if args.print_config:
        print(format_toml(config), end="")
        return 0
    given = as_arguments(config)
    model = open_model_of(given)
    options = check_run(given, model.schema)
    if args.check:
        print(f"{args.config or 'the defaults'}: good, with {model.file.path} ({model.file.sha256[:8]})")
        return 0
    return run_live(config, options, model)


def check_run(args: Namespace, schema: Schema) -> PublishOptions:
    """Looks at all that a run is told before anything is opened: a service may hold the camera and the addresses.

    Args:
        args: see `as_arguments`.
        schema: of the model's points.

    Raises:
        FkpEdgeError: the run would end at its start.
    """
    if args.source != "auto":
        check_source(args.source)
    if args.sheet:
        check_sheet(args.sheet)
    if args.record:
        check_recording(args.record)
    return read_publish_options(args, schema)
