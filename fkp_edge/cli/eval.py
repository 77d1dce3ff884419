"""`fkp-edge eval`: accuracy of model files on labelled faces."""

from __future__ import annotations

import math
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fkp_edge import data
from fkp_edge.cli.terminal import desktop_stderr, to_json
from fkp_edge.core.keypoints import Points
from fkp_edge.data import Scene
from fkp_edge.device.detection.base import Detect
from fkp_edge.device.detection.finder import Finder, propose_everywhere
from fkp_edge.device.detection.haar import HaarDetector
from fkp_edge.device.detection.search import Method
from fkp_edge.device.image_detector import ImageDetector, ImageSettings
from fkp_edge.errors import InputError
from fkp_edge.evaluation.evaluate import PROPOSALS, evaluate, evaluate_scenes
from fkp_edge.evaluation.groups import evaluate_groups, read_groups
from fkp_edge.library.judging import AS_PUBLISHED
from fkp_edge.model.interpreter import KeypointModel, open_model

__all__ = ["eval"]

SEARCHERS = {"haar": "Haar proposes", "finder": "the finder proposes", "both": "both propose"}


def eval(args: Namespace) -> int:  # noqa: A001 - named as the command
    """Prints a row a model and set."""
    with desktop_stderr():  # what decoders say of a picture names no file
        results = _by_groups(args) if args.groups else _by_sets(args)
    as_text = _groups_tables if args.groups else _table
    print(to_json(results) if args.json else as_text(results))
    return 0


def _by_sets(args: Namespace) -> list[dict[str, Any]]:
    """The figures of each model on each set."""
    detector = HaarDetector(AS_PUBLISHED)
    scenes = data.read_scenes(args.data / "scenes") if args.scenes else []
    results: list[dict[str, Any]] = []
    for path in args.models:
        model = _open(args, path)
        entry: dict[str, Any] = {"model": path.name, "sha256": model.file.sha256, "sets": {}}
        for faces in data.load(args.data, model.schema):
            print(f"{path.name}: {faces.name}", file=sys.stderr)
            entry["sets"][faces.name] = evaluate(model, faces, crops=args.crops, propose=detector.detect).figures
        if args.scenes:
            print(f"{path.name}: scenes", file=sys.stderr)
            entry["scenes"] = _on_scenes(model, scenes, args.search)
        results.append(entry)
    return results


def _open(args: Namespace, path: Path) -> KeypointModel:
    return open_model(path, card_required=not args.no_card, accelerator=args.accelerator)


def _by_groups(args: Namespace) -> list[dict[str, Any]]:
    """The figures of groups of people."""
    if args.scenes or args.crops != "gt":
        raise InputError("--groups looks at whole pictures; expected neither --scenes nor --crops beside it")
    pictures = read_groups(args.data, args.groups, one_in=args.held_out)
    results: list[dict[str, Any]] = []
    for path in args.models:
        model = _open(args, path)
        print(f"{path.name}: {len(pictures.paths)} pictures", file=sys.stderr)
        figures = evaluate_groups(model, pictures, find=_pipeline(model, args.search))
        about = {"data": args.data.name, "held_out_one_in": args.held_out, "search": args.search}
        results.append({"model": path.name, "sha256": model.file.sha256} | about | figures)
    return results


def _groups_tables(results: list[dict[str, Any]]) -> str:
    return "\n\n".join(map(_groups_table, results))


def _groups_table(entry: dict[str, Any]) -> str:
    head = f"{'group':<18}{'pictures':>8}{'found %':>9}{'score':>8}{'jitter %':>10}{'NME %':>8}  95 % intervals"
    lines = [
        f"{entry['model']}: {entry['pictures']} pictures of {entry['data']}",
        head,
        _group_row("all", entry["all"]),
    ]
    for attribute, groups in entry["groups"].items():
        lines += [f"{attribute}:", *(_group_row(name, figures) for name, figures in groups.items())]
        for what, unit in (("found", "points"), ("jitter", "percent")):
            if (gap := entry["gaps"][attribute].get(what)) and gap[f"gap_{unit}"]:
                size = f"{gap[f'gap_{unit}']:.1f} {unit if unit == 'points' else '%'}"
                lines.append(f"  largest gap, {what}: {size} from {gap['best']} to {gap['worst']}")
    return "\n".join(lines)


def _group_row(name: str, figures: dict[str, Any]) -> str:
    columns = {"found": "found_percent", "score": "score", "jitter": "jitter_percent", "nme": "nme_percent"}
    found, score, jitter, nme = (figures.get(column, math.nan) for column in columns.values())
    intervals = ", ".join(
        "{:.2f} .. {:.2f}".format(*figures[f"{key}_interval"]) for key in columns if f"{key}_interval" in figures
    )
    behind = f"  behind: {' and '.join(figures['behind'])}" if figures.get("behind") else ""
    return (
        f"{name:<18}{figures['pictures']:>8}{found:>9.1f}{score:>8.3f}{jitter:>10.2f}{nme:>8.2f}  {intervals}{behind}"
    )


def _on_scenes(model: KeypointModel, scenes: list[Scene], method: Method) -> dict[str, Any]:
    propose = _proposals(method)
    return {"search": method} | evaluate_scenes(model, scenes, propose=propose, find=_pipeline(model, method))


def _pipeline(model: KeypointModel, method: Method) -> Callable[[NDArray[np.uint8]], list[Points]]:
    """Points of the faces that `predict` reports in a grey picture."""
    finder = ImageDetector(model, ImageSettings(method=method))
    return lambda grey: [face.points for face in finder.find(grey)]


def _proposals(method: Method) -> Detect:
    """What `method` proposes in a photograph: Haar as published, at most five crops of the finder."""
    detects: list[Detect] = []
    if method != "finder":
        detects.append(HaarDetector(AS_PUBLISHED).detect)
    if method != "haar":
        finder = Finder()
        detects.append(lambda grey: propose_everywhere(finder, grey)[:PROPOSALS])
    return lambda grey: [proposal for detect in detects for proposal in detect(grey)]


def _table(results: list[dict[str, Any]]) -> str:
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
                f"{entry['model']:<28}scenes  {f['faces']:>6}  score AUC {f['score_auc']:.4f}, "
                f"{SEARCHERS[f['search']]} {f['proposed_percent']:.1f} %, "
                f"predict finds {f['found_percent']:.1f} % with {f['false_faces_per_photograph']:.3f} "
                "false faces a photograph"
            )
    return "\n".join(lines)
