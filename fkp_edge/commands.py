"""What each command does: joins stages, prints results to stdout and progress to stderr.

Only this module, `cli.py`, `live.py`, `publishing.py`, `run_config.py` and the modules named `..._command.py` may
import several stages; each handler imports what it needs.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fkp_edge.interpreter import KeypointModel
    from fkp_edge.verify import Verification

__all__ = [
    "bench",
    "convert",
    "data",
    "doctor",
    "eval",
    "export",
    "model",
    "predict",
    "print_error",
    "replay",
    "run",
    "status",
    "train",
    "tune",
    "verify",
    "watch",
]


def print_error(error: Exception) -> None:
    """One line on stderr, whatever the text holds."""
    from fkp_edge.journal import is_journal, with_level

    line = f"fkp-edge: error: {' '.join(str(error).split())}"
    print(with_level(line, logging.ERROR) if is_journal(sys.stderr) else line, file=sys.stderr)


def run(args: Namespace) -> int:
    """Camera or recording -> keypoints on a socket."""
    from fkp_edge.live import run_live
    from fkp_edge.publishing import read_publish_options
    from fkp_edge.run_config import as_arguments, read_run_config
    from fkp_edge.settings import format_toml

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


def watch(args: Namespace) -> int:
    """Shows a stream."""
    from fkp_edge.stream.recording import Recorder
    from fkp_edge.stream.trust import read_token
    from fkp_edge.stream.watch import watch as show

    token = read_token(args.token_file) if args.token_file else None
    recording = Recorder(args.record) if args.record else contextlib.nullcontext()
    with recording as recorder, contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how a person ends it
        show(
            args.url,
            as_json=args.json,
            out=sys.stdout,
            token=token,
            count=args.count,
            wait_s=args.wait,
            recorder=recorder,
        )
    return 0


def status(args: Namespace) -> int:
    """How a running service is doing; 1 where no frames flow."""
    from fkp_edge import status_command

    return status_command.status(args)


def replay(args: Namespace) -> int:
    """Streams a recording."""
    from fkp_edge.cli import DEFAULT_STREAM
    from fkp_edge.stream.options import read_stream_options
    from fkp_edge.stream.replay import Replay

    addresses, access = read_stream_options(args, DEFAULT_STREAM)
    playing = Replay(args.recording, addresses, access)
    for address in playing.outputs.addresses:
        print(f"streaming {args.recording} on {address}", file=sys.stderr, flush=True)
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is how a person ends it
        print(f"{playing.run(fast=args.fast)} observations", file=sys.stderr)
    return 0


def export(args: Namespace) -> int:
    """Recording -> CSV."""
    from fkp_edge.stream.spreadsheet import export_csv

    print(f"{args.out}: {export_csv(args.recording, args.out)} rows")
    return 0


def predict(args: Namespace) -> int:
    """Faces and keypoints in pictures."""
    from fkp_edge import predict_command

    return predict_command.predict(args, open_model_of(args))


def eval(args: Namespace) -> int:  # noqa: A001 - named as the command
    """Accuracy of model files on labelled faces."""
    from fkp_edge import data
    from fkp_edge.device.haar import HaarDetector, HaarSettings
    from fkp_edge.device.stills import StillFinder
    from fkp_edge.evaluate import evaluate, evaluate_scenes
    from fkp_edge.interpreter import open_model

    # Haar as the figures of others are given: (1.1, 3) on the whole picture, down to the cascade's own window
    detector = HaarDetector(HaarSettings(scale_factor=1.1, min_neighbors=3, min_size=24, longest_side=4096))
    scenes = data.read_scenes(args.data / "scenes") if args.scenes else []
    results: list[dict[str, Any]] = []
    for path in args.models:
        with _quiet_runtime():
            model = open_model(path, card_required=not args.no_card, accelerator=args.accelerator)
        entry: dict[str, Any] = {"model": path.name, "sha256": model.file.sha256, "sets": {}}
        for faces in data.load(args.data, model.schema):
            print(f"{path.name}: {faces.name}", file=sys.stderr)
            entry["sets"][faces.name] = evaluate(model, faces, crops=args.crops, propose=detector.detect).figures
        if args.scenes:
            print(f"{path.name}: scenes", file=sys.stderr)
            finder = StillFinder(model)
            entry["scenes"] = evaluate_scenes(
                model,
                scenes,
                propose=detector.detect,
                find=lambda grey, finder=finder: [face.points for face in finder.find(grey)],  # type: ignore[misc]
            )
        results.append(entry)
    print(_json(results) if args.json else _accuracy_table(results))
    return 0


def _json(value: Any) -> str:
    """`value` as JSON; what could not be measured (NaN) becomes null."""
    import msgspec

    return msgspec.json.format(msgspec.json.encode(value), indent=1).decode()


def _accuracy_table(results: list[dict[str, Any]]) -> str:
    lines = [f"{'model':<28}{'set':<8}{'faces':>6}{'missed':>7}{'NME %':>7}  95 % interval  {'>10 %':>6}{'RMSE px':>9}"]
    lines[0] += "  NME % tracked, on labels' crops"
    for entry in results:
        for name, f in entry["sets"].items():
            interval = "{:.2f} .. {:.2f}".format(*f["nme_interval_percent"])
            lines.append(
                f"{entry['model']:<28}{name:<8}{f['faces']:>6}{f['missed']:>7}{f['nme_percent']:>7.2f}"
                f"  {interval:<13}  {f['failures_percent']:>6.1f}{f['rmse_px']:>9.2f}"
                f"  {f.get('tracked_nme_percent', math.nan):>13.2f}, {f.get('gt_nme_percent', f['nme_percent']):.2f}"
            )
        if f := entry.get("scenes"):
            lines.append(
                f"{entry['model']:<28}scenes  {f['faces']:>6}  score AUC {f['score_auc']:.4f}, Haar proposes "
                f"{f['proposed_percent']:.1f} %, predict finds {f['found_percent']:.1f} % with "
                f"{f['false_faces_per_photograph']:.3f} false faces a photograph"
            )
    return "\n".join(lines)


def train(args: Namespace) -> int:
    """Trains a recipe."""
    from fkp_edge.device.haar import PERMISSIVE, HaarDetector
    from fkp_edge.train.kinds import read_recipe, train_any

    recipe = read_recipe(args.recipe)
    propose = HaarDetector(PERMISSIVE).detect
    result = train_any(recipe, data_dir=args.data, out=args.out, propose=propose, start=args.start, resume=args.resume)
    for name, figures in result.validation.items():
        errors = f"RMSE {figures['rmse_px']:.2f} px, MAE {figures['mae_px']:.2f} px"
        print(f"{name}: NME {figures['nme_percent']:.2f} % on {figures['faces']} faces, {errors}")
    print(result.model)
    return 0


def tune(args: Namespace) -> int:
    """Recording -> smoothing that suits it."""
    from fkp_edge import tune_command

    return tune_command.tune(args)


def convert(args: Namespace) -> int:
    """Float network -> int8 model file, with a report."""
    from fkp_edge import convert_command

    return convert_command.convert(args)


def bench(args: Namespace) -> int:
    """Latency of every stage, and accuracy lost against float; or two measurements compared."""
    from fkp_edge import bench_command

    return bench_command.measure(args, _quiet_runtime)


def verify(args: Namespace) -> int:
    """Golden cases of a model file on this device; 1 where they do not reproduce."""
    from fkp_edge.interpreter import open_model
    from fkp_edge.verify import STAGES
    from fkp_edge.verify import verify as verify_model

    with _quiet_runtime():
        model = open_model(args.model, card_required=False, accelerator=args.accelerator)
        found = verify_model(model)
    if args.json:
        named = {"model": args.model.name, "sha256": model.file.sha256, "reproduces": found.first is None}
        print(_json(named | {"first": found.first} | vars(found)))
    else:
        print(f"{args.model.name}: {found.cases} golden cases on {found.runs_on}")
        for stage in STAGES:
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


def doctor(args: Namespace) -> int:
    """Checks of this device; 1 where one fails."""
    from fkp_edge import doctor_command

    return doctor_command.doctor(args)


def model(args: Namespace) -> int:
    """Changes the file that a service runs; 1 where the new one is not good."""
    from fkp_edge import model_command

    with _quiet_runtime():
        return int(getattr(model_command, args.action)(args))


def data(args: Namespace) -> int:
    """Looks into labelled files; Kaggle's files and submission."""
    from fkp_edge import data_commands

    return int(getattr(data_commands, args.action)(args))


def open_model_of(args: Namespace) -> KeypointModel:
    """The model that the arguments name, else the shipped int8 one."""
    from fkp_edge.interpreter import open_model
    from fkp_edge.models import shipped_model

    with _quiet_runtime():
        return open_model(
            args.model or shipped_model(),
            threads=args.threads,
            card_required=not args.no_card,
            accelerator=args.accelerator,
        )


@contextmanager
def _quiet_runtime() -> Iterator[None]:
    """Keeps TFLite's own remarks ("Created ... XNNPACK delegate") off the terminal; FKP_EDGE_DEBUG=1 shows them.

    The runtime writes to the descriptor itself, past Python. Only the command line does this: no thread runs yet.
    """
    if os.environ.get("FKP_EDGE_DEBUG"):
        yield
        return
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
