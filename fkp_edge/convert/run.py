"""`convert`: from a float network to a model file that describes itself, if what it lost passes the gate."""

from __future__ import annotations

import gzip
import logging
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from fkp_edge.convert.attempts import Candidate, Job, candidates
from fkp_edge.convert.cards import card_of, golden_cases, keypoint_model
from fkp_edge.convert.channels import count_macs
from fkp_edge.convert.load import Network
from fkp_edge.convert.prune import prune
from fkp_edge.convert.quantize import to_float
from fkp_edge.convert.recipe import save_passed
from fkp_edge.convert.report import Attempt, Report, Size, Step
from fkp_edge.core.keypoints import Points
from fkp_edge.errors import InputError
from fkp_edge.evaluation.comparison import Comparison, LabelledCrops, compare
from fkp_edge.evaluation.metrics import face_nme
from fkp_edge.model.file import Card, GoldenCase, encode_model_file

__all__ = ["ConvertResult", "convert"]

log = logging.getLogger(__name__)

LOST = 30.0
"""NME in percent above which a network does not find faces at all: its inputs or outputs are not what was said."""


@dataclass(frozen=True, eq=False)
class ConvertResult:
    """What a conversion gives; `save` writes it."""

    files: dict[str, tuple[bytes, Card, tuple[GoldenCase, ...]]]
    """Precision (float32, int8) -> flatbuffer, card and golden cases."""
    report: Report
    before: Points
    """(N, K, 2) of the float network on `crops`, pixels of the crop."""
    after: Points
    """The same of the int8 file."""
    crops: LabelledCrops

    def save(self, out: Path, *, overwrite: bool = False) -> dict[str, Path]:
        """Writes the int8 file to `out` and the float32 one beside it, both or none; their paths by precision.

        Raises:
            InputError: the gate refused it, a file exists and `overwrite` is not given, or the disk is full.
        """
        contents = {precision: encode_model_file(*parts) for precision, parts in self.files.items()}
        return save_passed(out, self.report, contents, overwrite=overwrite)


def convert(job: Job) -> ConvertResult:
    """Prunes, fine-tunes and quantises a network as its recipe says, and measures what that lost; see `prepare_job`.

    Raises:
        InputError: the network cannot be pruned or trained so.
    """
    recipe = job.recipe
    original, crops = job.original, job.crops
    original_float = to_float(original)
    before = job.points_of(original, original_float)
    _check_sense(original, 100 * float(np.nanmean(face_nme(before, crops.points, crops.schema))))
    network, pruning = prune(
        original, recipe, lambda build, hook: job.tuned("prune", build, hook), lambda: job.task.steps
    )
    pruned_float = to_float(network) if pruning else original_float
    between = job.points_of(network, pruned_float) if pruning else before

    best, attempts = _best(job, network, before)
    steps = [Step(name="prune and fine-tune", comparison=compare(before, between, crops))] if pruning else []
    steps.append(Step(name="quantise", comparison=compare(between, best.points, crops)))
    report = Report(
        model=str(original.path),
        name=original.described["recipe"]["name"],
        data={name: loss.faces for name, loss in best.comparison.sets.items()},
        crops=len(crops.pixels),
        recipe=msgspec.to_builtins(recipe),
        pruning=pruning,
        quantisation=best.how,
        max_loss_percent=recipe.max_loss_percent,
        steps=steps,
        total=best.comparison,
        attempts=attempts,
        sizes=_sizes(
            job, {"float32 before": (original_float, before), "float32": (pruned_float, between)}, network, best
        ),
        layers=job.layer_errors(network),
        macs=(_macs(original), _macs(network)),
        found_percent=_found(job, (original, original_float, None), (network, best.flatbuffer, best.mean_shape)),
    )
    files = {
        "float32": _file(network, pruned_float, "float32", report, None, compare(before, between, crops)),
        "int8": _file(network, best.flatbuffer, "int8", report, best.mean_shape, best.comparison),
    }
    return ConvertResult(files, report, before, best.points, crops)


def _found(job: Job, *files: tuple[Network, bytes, Points | None]) -> tuple[float, float] | None:
    """Shares of faces found before and after; None where the network gives no score."""
    if not job.original.described["has_score"]:
        return None
    before, after = (job.found_percent(*file) for file in files)
    return before, after


def _best(job: Job, network: Network, before: Points) -> tuple[Candidate, list[Attempt]]:
    """The first way of quantising that passes the gate, else the one that loses least; and all that were tried."""
    tried: list[Candidate] = []
    attempts: list[Attempt] = []
    for candidate in candidates(job, network, before):
        overall = candidate.comparison.overall
        passed = overall.interval_percent[1] <= job.recipe.max_loss_percent
        log.info("%s: loss %.2f %%, at most %.2f %%", candidate.how, overall.loss_percent, overall.interval_percent[1])
        tried.append(candidate)
        attempts.append(Attempt(how=candidate.how, loss=overall, passed=passed))
        if passed:
            break
    return min(tried, key=lambda one: one.comparison.overall.interval_percent[1]), attempts


def _file(
    network: Network, flatbuffer: bytes, precision: str, report: Report, mean: Points | None, compared: Comparison
) -> tuple[bytes, Card, tuple[GoldenCase, ...]]:
    card = card_of(
        network,
        flatbuffer,
        precision,
        mean_shape=mean,
        pruning=report.pruning,
        quantisation=report.quantisation if precision == "int8" else "",
        accuracy={
            name: {
                "crops": f"{report.crops} in all: the labels' own, mirrored, framed by the tracker",
                "faces": loss.faces,
                "float_nme_percent": loss.before_percent,
                "nme_percent": loss.after_percent,
            }
            for name, loss in compared.sets.items()
        },
    )
    return flatbuffer, card, golden_cases(keypoint_model(network, flatbuffer, mean))


def _sizes(job: Job, floats: dict[str, tuple[bytes, Points]], network: Network, best: Candidate) -> list[Size]:
    """The network's sizes and losses in every precision; `floats` has those in float32, what it came from first."""
    contents = dict(floats)
    _, before = next(iter(floats.values()))
    for kind in ("float16", "dynamic"):
        content = to_float(network, kind)
        contents[kind] = content, job.points_of(network, content)
    contents["int8"] = best.flatbuffer, best.points
    sizes = []
    for name, (content, points) in contents.items():
        loss = compare(before, points, job.crops)
        packed = len(gzip.compress(content, 9, mtime=0))
        sizes.append(Size(name=name, bytes=len(content), gzip_bytes=packed, loss=loss.overall, rmse_px=loss.rmse_px[1]))
    return sizes


def _macs(network: Network) -> int:
    return 0 if network.model is None else count_macs(network.model)


def _check_sense(network: Network, nme_percent: float) -> None:
    if network.described["recipe"]["kind"] == "foreign" and not nme_percent < LOST:
        raise InputError(
            f"{network.path}: the float network errs by {nme_percent:.0f} % of the eye distance, so it does not take "
            'or give what its recipe says; expected [network] with pixels = "0..255", "0..1" or "-1..1" and '
            'points = "offsets", "units", "pixels" or "centred"'
        )
