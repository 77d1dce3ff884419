"""`fkp-edge eval`: accuracy of model files on labelled faces."""

from __future__ import annotations

import math
import sys
from argparse import Namespace
from typing import Any

from fkp_edge import data
from fkp_edge.cli.terminal import quiet_runtime, to_json
from fkp_edge.data import Scene
from fkp_edge.device.detection.base import Detect
from fkp_edge.device.detection.finder import Finder
from fkp_edge.device.detection.haar import HaarDetector
from fkp_edge.device.detection.search import Method
from fkp_edge.device.image_detector import ImageDetector, ImageSettings
from fkp_edge.evaluation.evaluate import evaluate, evaluate_scenes
from fkp_edge.library.judging import AS_PUBLISHED
from fkp_edge.model.interpreter import KeypointModel, open_model

__all__ = ["eval"]

SEARCHERS = {"haar": "Haar proposes", "finder": "the finder proposes", "both": "both propose"}


def eval(args: Namespace) -> int:  # noqa: A001 - named as the command
    """Prints a row a model and set."""
    detector = HaarDetector(AS_PUBLISHED)
    scenes = data.read_scenes(args.data / "scenes") if args.scenes else []
    results: list[dict[str, Any]] = []
    for path in args.models:
        with quiet_runtime():
            model = open_model(path, card_required=not args.no_card, accelerator=args.accelerator)
        entry: dict[str, Any] = {"model": path.name, "sha256": model.file.sha256, "sets": {}}
        for faces in data.load(args.data, model.schema):
            print(f"{path.name}: {faces.name}", file=sys.stderr)
            entry["sets"][faces.name] = evaluate(model, faces, crops=args.crops, propose=detector.detect).figures
        if args.scenes:
            print(f"{path.name}: scenes", file=sys.stderr)
            entry["scenes"] = _on_scenes(model, scenes, args.search)
        results.append(entry)
    print(to_json(results) if args.json else _table(results))
    return 0


def _on_scenes(model: KeypointModel, scenes: list[Scene], method: Method) -> dict[str, Any]:
    finder = ImageDetector(model, ImageSettings(method=method))
    propose = _proposals(method)
    return {"search": method} | evaluate_scenes(
        model, scenes, propose=propose, find=lambda grey: [face.points for face in finder.find(grey)]
    )


def _proposals(method: Method) -> Detect:
    """What `method` proposes in a photograph: Haar as published, at most five crops of the finder."""
    detects: list[Detect] = []
    if method != "finder":
        detects.append(HaarDetector(AS_PUBLISHED).detect)
    if method != "haar":
        detects.append(Finder().propose)
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
