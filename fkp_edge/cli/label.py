"""`fkp-edge label`: pictures or a video -> face chips with points that a teacher marked."""

from __future__ import annotations

import shlex
import sys
import time
from argparse import Namespace

from fkp_edge.cli.terminal import desktop_stderr, print_error
from fkp_edge.core.keypoints import schema_named
from fkp_edge.errors import InputError
from fkp_edge.label.habit import MIN_FACES, read_habit, write_habit
from fkp_edge.label.journal import FOLDER, check_place
from fkp_edge.label.run import Labelled, Labelling
from fkp_edge.label.run import label as label_faces
from fkp_edge.label.teachers import NetworkTeacher, Teacher
from fkp_edge.model.interpreter import open_model
from fkp_edge.model.shipped import find_model

__all__ = ["label"]

MEDIAPIPE = "mediapipe"
SAY_EVERY_S = 5.0


def label(args: Namespace) -> int:
    """Labels, or goes on, and says in three lines what came of it; 2 where a file was no picture."""
    how = Labelling(schema=schema_named(args.schema), sure=args.sure, every_s=args.every)
    check_place(args.out)
    with desktop_stderr():
        try:
            teacher = _open_teacher(args)
            found = label_faces(args.source, teacher, args.out, how, progress=_Progress("looked at"))
        except KeyboardInterrupt:
            print("\nstopped; the same command goes on", file=sys.stderr)
            raise
    for problem in found.unreadable:
        print_error(problem)
    print("\n".join(_verdict(args, found)))
    return 2 if found.unreadable else 0


def _open_teacher(args: Namespace) -> Teacher:
    if args.teacher != MEDIAPIPE:
        if args.habit:
            raise InputError(f"--habit is for --teacher {MEDIAPIPE}; leave it out for {args.teacher}")
        return NetworkTeacher(open_model(find_model(args.teacher)))
    from fkp_edge.label.mesh import MeshTeacher, learn_habit

    if not args.habit:
        raise InputError(
            f"--teacher {MEDIAPIPE} needs --habit: folders of at least {MIN_FACES} faces labelled by hand, or the "
            "habit.npz of an earlier run"
        )
    kept = args.out / FOLDER / "habit.npz"
    if [path.suffix for path in args.habit] == [".npz"]:
        return MeshTeacher(read_habit(args.habit[0]))
    if not kept.is_file():  # else the run goes on with what it learnt
        habit = learn_habit(args.habit, _Progress("learnt from"))
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_habit(habit, kept)
    return MeshTeacher(read_habit(kept))


class _Progress:
    """A line on stderr every few seconds."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._due = time.monotonic() + SAY_EVERY_S

    def __call__(self, done: int, of: int) -> None:
        if time.monotonic() >= self._due:
            print(f"{done}{f' of {of}' if of else ''} {self._what}", file=sys.stderr, flush=True)
            self._due = time.monotonic() + SAY_EVERY_S


def _verdict(args: Namespace, found: Labelled) -> list[str]:
    lines = [
        f"labelled: {found.faces} faces in {found.looked_at} pictures, in {args.out}",
        f"left out: {found.unsure} faces that the teacher is not sure of, {found.without} pictures without a face",
    ]
    if found.sheet:
        lines.append(f"next: look at {shlex.quote(str(found.sheet))}, and remove what is wrong")
    return lines
