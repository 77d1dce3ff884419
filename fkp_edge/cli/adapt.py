"""`fkp-edge adapt`: a shipped network trained on with faces of one's own; nothing to deploy where it got no better."""

from __future__ import annotations

import shlex
import shutil
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from fkp_edge.cli.terminal import desktop_stderr, to_json
from fkp_edge.convert.own_faces import OwnFaces, read_own_faces
from fkp_edge.convert.recipe import check_free
from fkp_edge.core.keypoints import schema_named
from fkp_edge.errors import InputError
from fkp_edge.model.interpreter import open_model
from fkp_edge.train.inputs import read_keypoint_description

if TYPE_CHECKING:
    from fkp_edge.convert.adapt import AdaptResult

__all__ = ["adapt"]


def adapt(args: Namespace) -> int:
    """Adapts, converts and judges; 1 where the result is refused."""
    check_free(args.out, overwrite=args.overwrite)
    if args.model.suffix != ".tflite":
        raise InputError(f"{args.model} is no model file; expected a float one, such as keypoints-float32")
    described = read_keypoint_description(args.model)
    own = read_own_faces(args.data, schema_named(described["schema"]), held_out=args.held_out, original=args.original)
    with desktop_stderr():
        try:
            return _adapt(args, own)
        except KeyboardInterrupt:
            print("\nstopped; the same command goes on", file=sys.stderr)
            raise


def _adapt(args: Namespace, own: OwnFaces) -> int:
    from fkp_edge.convert.adapt import Adaptation
    from fkp_edge.convert.adapt import adapt as adapt_model
    from fkp_edge.convert.pages import write_report
    from fkp_edge.library.making import haar_proposer

    work = args.out.with_suffix(".work")
    result = adapt_model(
        args.model,
        own,
        Adaptation(epochs=args.epochs, max_loss_percent=args.max_loss),
        before=open_model(args.model),
        work=work,
        propose=haar_proposer(),
        told=lambda line: print(line, file=sys.stderr, flush=True),
    )
    written = [
        *write_report(result.conversion.report, args.out, None),
        *result.save(args.out, overwrite=args.overwrite),
    ]
    if passed := args.out in written:
        shutil.rmtree(work, ignore_errors=True)
    if args.json:
        print(to_json({"passed": passed, "files": list(map(str, written)), "report": result.report}))
    else:
        print("\n".join(_verdict(args.out, result, passed=passed)))
    return 0 if passed else 1


def _verdict(out: Path, result: AdaptResult, *, passed: bool) -> list[str]:
    conversion = result.conversion.report
    lines = [f"{out} {'is written' if passed else 'is not written'}: {result.report.verdict}"]
    lines.append(f"to int8: {conversion.verdict}")
    if passed:
        return [*lines, f"next: fkp-edge verify {shlex.quote(str(out))}, then fkp-edge model install on the device"]
    return [*lines, "next: label more faces, look at their sheet, or allow more with --max-loss"]
