"""`adapt`: a shipped network trained on with a user's own faces, converted, and judged on faces that it did not see."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from fkp_edge.convert.attempts import prepare_job
from fkp_edge.convert.own_faces import TRAIN, OwnFaces
from fkp_edge.convert.recipe import ConvertRecipe
from fkp_edge.convert.report import FOUND_SCORE
from fkp_edge.convert.run import ConvertResult, convert
from fkp_edge.core.files import write_whole
from fkp_edge.core.keypoints import schema_named
from fkp_edge.core.settings import parse_settings
from fkp_edge.errors import InputError
from fkp_edge.evaluation.comparison import LabelledCrops, Loss, error_by_face, predict_crops, relative_loss
from fkp_edge.model.interpreter import KeypointModel
from fkp_edge.train.inputs import read_inputs, read_keypoint_description
from fkp_edge.train.proposals import Proposer
from fkp_edge.train.recipe import Data, Fit, Recipe
from fkp_edge.train.run import train

__all__ = ["AdaptReport", "AdaptResult", "Adaptation", "adapt"]

log = logging.getLogger(__name__)

OWN_SHARE = 1 / 3
"""Of the faces of an epoch, where the original ones are there too: without them a network forgets."""
LEARNING_RATE, WARMUP = 5e-4, 0.5
MAX_FOUND_LOSS = 1.0
"""Points of found faces that may be lost."""


class Adaptation(msgspec.Struct, frozen=True, kw_only=True):
    """How a network is adapted."""

    epochs: int = 10
    frozen: int = 4
    """Blocks at the start that keep their weights: a step costs a fraction, and less is forgotten."""
    max_loss_percent: float = 1.0
    """Largest loss on the original validation faces that passes: the upper end of its 95 % interval."""


class AdaptReport(msgspec.Struct, frozen=True, kw_only=True):
    """An adaptation, from the float network that it started from to its int8 file."""

    model: str
    faces: int
    """The user's, that trained it."""
    own: Loss
    """On the user's held-out faces; negative where it errs less than before."""
    original: Loss | None
    """On the faces that validated the network before; None where they were not there."""
    found_percent: tuple[float, float]
    """Share of all these faces whose score makes `run` take them for a face, before and after."""
    max_loss_percent: float

    @property
    def passed(self) -> bool:
        """Better on the user's faces, surely not worse than allowed on the original ones, and as many are found."""
        kept = self.original is None or self.original.interval_percent[1] <= self.max_loss_percent
        found = self.found_percent[1] >= self.found_percent[0] - MAX_FOUND_LOSS
        return kept and found and self.own.loss_percent < 0

    @property
    def verdict(self) -> str:
        """What counts, in one line."""
        found = "finds {:.1f} -> {:.1f} % of them".format(*self.found_percent)
        return "; ".join([_said("your held-out faces", self.own), self._original_verdict(), found])

    def _original_verdict(self) -> str:
        if self.original is None:
            return "the original validation faces were not there (--original), so what it forgot is not known"
        return f"{_said('the original ones', self.original)}, allowed {self.max_loss_percent:g} %"


def _said(whose: str, loss: Loss) -> str:
    low, high = loss.interval_percent
    return (
        f"NME on {loss.faces} of {whose} {loss.before_percent:.2f} -> {loss.after_percent:.2f} % "
        f"({loss.loss_percent:+.1f} %, 95 %: {low:+.1f} to {high:+.1f})"
    )


@dataclass(frozen=True, eq=False)
class AdaptResult:
    """What an adaptation gave."""

    report: AdaptReport
    conversion: ConvertResult

    def save(self, out: Path, *, overwrite: bool = False) -> list[Path]:
        """Writes the report and, where the gate lets it out, the int8 file and the float32 one; their paths.

        Raises:
            InputError: a file exists and `overwrite` is not given, or the disk is full.
        """
        page = out.with_suffix(".adapt.json")
        content = msgspec.to_builtins(self.report) | {"passed": self.report.passed, "verdict": self.report.verdict}
        write_whole({page: msgspec.json.format(msgspec.json.encode(content), indent=1)})
        passed = self.report.passed and self.conversion.report.passed
        return [page, *(self.conversion.save(out, overwrite=overwrite).values() if passed else ())]


def adapt(
    start: Path,
    own: OwnFaces,
    how: Adaptation,
    *,
    before: KeypointModel,
    work: Path,
    propose: Proposer,
    told: Callable[[str], None] = log.info,
) -> AdaptResult:
    """Trains the float network `start` on with the user's faces, converts it, and compares it with what it was.

    Args:
        start: a float model file, whose card says how it was trained.
        own: the user's faces, and the original ones where they are there.
        how: epochs, frozen blocks, and what may be lost.
        before: `start`, opened.
        work: folder of the unfinished work, which a second call goes on from.
        propose: a face detector, as for training.
        told: is told what is done, a line each.

    Raises:
        InputError: the network or the faces cannot be used.
    """
    recipe = _recipe(start, own, how)
    _claim(work, start, recipe, own)
    data_dir = own.lay_out(work / "data")
    run = work / "run"
    told(f"training on {len(own.train)} of your faces{' and the original ones' if own.original else ''}")
    if not (run / "model.keras").is_file():
        train(
            recipe,
            read_inputs(recipe, data_dir),
            out=run,
            propose=propose,
            start=start,
            resume=(run / "history.jsonl").exists(),
        )
    told("converting")
    job = prepare_job(
        run / "model.keras",
        ConvertRecipe(val=recipe.data.val, max_loss_percent=how.max_loss_percent),
        data_dir=data_dir,
        propose=propose,
        work=work / "conversion",
    )
    converted = convert(job)
    return AdaptResult(_report(start, own, how, before, converted), converted)


def _recipe(start: Path, own: OwnFaces, how: Adaptation) -> Recipe:
    """The recipe that made `start`, with the user's faces, fewer epochs and a smaller rate."""
    described = read_keypoint_description(start)
    known = parse_settings(described["recipe"], Recipe, f"{start}: the recipe in its card")
    train_sets, val, scenes = own.sets(known.data)
    train_sets[TRAIN] = own.times(known.data, schema_named(known.schema), OWN_SHARE)
    fit = Fit(
        epochs=how.epochs, frozen=how.frozen, learning_rate=LEARNING_RATE, warmup_epochs=WARMUP, replicas=_replicas()
    )
    note = f"{known.data.note} Then faces of a user's own, labelled by a teacher.".strip()
    data = Data(train=train_sets, val=val, scenes=scenes[0], val_scenes=scenes[1], note=note)
    return msgspec.structs.replace(known, name=f"{known.name}-adapted", data=data, fit=fit)


def _replicas() -> int:
    return 2 if (os.cpu_count() or 1) > 1 else 1


def _report(
    start: Path, own: OwnFaces, how: Adaptation, before: KeypointModel, converted: ConvertResult
) -> AdaptReport:
    crops = converted.crops
    first, last = (error_by_face(points, crops) for points in (predict_crops(before, crops.pixels), converted.after))
    mine = crops.of_set == 0  # the held-out faces are named first
    after = (converted.report.found_percent or (0.0, 0.0))[1]
    losses = [relative_loss(first[of], last[of], crops.subject[of]) for of in (mine, ~mine)]
    return AdaptReport(
        model=start.stem,
        faces=len(own.train),
        own=losses[0],
        original=losses[1] if own.original else None,
        found_percent=(_found_percent(before, crops), after),
        max_loss_percent=how.max_loss_percent,
    )


def _found_percent(model: KeypointModel, crops: LabelledCrops) -> float:
    """Share of the faces that `model` takes for one in the labels' own crop."""
    return 100 * float(np.mean([model.predict(crop)[1] >= FOUND_SCORE for crop in crops.pixels[crops.plain]]))


def _claim(work: Path, start: Path, recipe: Recipe, own: OwnFaces) -> None:
    """Makes `work` this adaptation's own: training with other faces or another recipe is not gone on from.

    Raises:
        InputError: another one's work is there, or it cannot be made.
    """
    digest = hashlib.sha256(start.read_bytes())
    for file in (*own.train, *own.held):
        digest.update(str(file.resolve()).encode() + file.read_bytes())
    mine = msgspec.json.encode({"recipe": recipe, "files": digest.hexdigest()})
    noted = work / "adaptation.json"
    try:
        work.mkdir(parents=True, exist_ok=True)
        if noted.exists() and noted.read_bytes() != mine:
            raise InputError(
                f"{work} holds unfinished work of another adaptation (network, faces or epochs); delete it, or name "
                "another --out"
            )
        noted.write_bytes(mine)
    except OSError as error:
        raise InputError(f"cannot use {work} for the work: {error.strerror or error}; name another --out") from error
