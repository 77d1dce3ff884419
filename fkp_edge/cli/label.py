"""`fkp-edge label`: pictures or a video -> face chips with points that a teacher marked."""

from __future__ import annotations

import shlex
import sys
import time
from argparse import Namespace

from fkp_edge.cli.terminal import print_error, quiet_runtime
from fkp_edge.core.keypoints import schema_named
from fkp_edge.label.run import Labelled, Labelling
from fkp_edge.label.run import label as label_faces
from fkp_edge.label.teachers import NetworkTeacher
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import find_model

__all__ = ["label"]

SAY_EVERY_S = 5.0


def label(args: Namespace) -> int:
    """Labels, or goes on, and says in three lines what came of it; 2 where a file was no picture."""
    with quiet_runtime():
        teacher = NetworkTeacher(open_model(find_model(args.teacher)))
    how = Labelling(schema=schema_named(args.schema), sure=args.sure, every_s=args.every)
    try:
        found = label_faces(args.source, teacher, args.out, how, progress=_Progress())
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on", file=sys.stderr)
        raise
    for problem in found.unreadable:
        print_error(problem)
    print("\n".join(_verdict(args, found)))
    return 2 if found.unreadable else 0


class _Progress:
    """A line on stderr every few seconds."""

    def __init__(self) -> None:
        self._due = time.monotonic() + SAY_EVERY_S

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() >= self._due:
            print(f"{done}{f' of {of}' if of else ''} looked at", file=sys.stderr, flush=True)
            self._due = time.monotonic() + SAY_EVERY_S


def _verdict(args: Namespace, found: Labelled) -> list[str]:
    lines = [
        f"labelled: {found.faces} faces in {found.looked_at} pictures, in {args.out}",
        f"left out: {found.unsure} faces that the teacher is not sure of, {found.without} pictures without a face",
    ]
    if found.sheet:
        lines.append(f"next: look at {shlex.quote(str(found.sheet))}, and remove what is wrong")
    return lines
