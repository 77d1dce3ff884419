"""Which layers can lose filters, and how accuracy falls as more of them go: what a pruning recipe is chosen by."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import msgspec

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from tqdm import tqdm

from fkp_edge.convert.attempts import Job
from fkp_edge.convert.channels import (
    count_macs,
    counts_left,
    find_filters,
    importance_of,
    keep_best,
    remove_filters,
)
from fkp_edge.convert.load import Network
from fkp_edge.convert.prune import copied, smaller
from fkp_edge.core.files import write_whole
from fkp_edge.core.geometry import CROP_SIZE
from fkp_edge.core.keypoints import Points
from fkp_edge.errors import InputError
from fkp_edge.evaluation.comparison import LabelledCrops, Loss, compare
from fkp_edge.train.backend import keras

__all__ = ["Scan", "Sensitivity", "SweepPoint", "find_knee", "scan"]

ALONE = 0.3
"""Share of its filters that each layer loses alone."""
SHARES = (0.0, 0.2, 0.4, 0.6)


class Sensitivity(msgspec.Struct, frozen=True, kw_only=True):
    """One layer without the least important filters, nothing tuned."""

    layer: str
    filters: int
    kept: int
    macs_saved_percent: float
    loss: Loss


class SweepPoint(msgspec.Struct, frozen=True, kw_only=True):
    """All layers without a share of their filters."""

    share: float
    macs: int
    parameters: int
    untuned: Loss
    tuned: Loss
    """After the recipe's fine-tuning."""


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """Both, for one network."""

    model: str
    importance: str
    epochs: int
    """Of fine-tuning at each share."""
    sensitivity: list[Sensitivity]
    sweep: list[SweepPoint]
    knee: float
    """Share at the knee of the curve of accuracy over multiply-accumulates."""

    def save(self, out: Path) -> list[Path]:
        """Writes scan.json and scan.png to the folder `out`; their paths."""
        out.mkdir(parents=True, exist_ok=True)
        contents = {
            out / "scan.json": msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n",
            out / "scan.png": _picture(self),
        }
        write_whole(contents)
        return list(contents)


def scan(job: Job) -> Scan:
    """Removes filters from each layer alone, then from all with fine-tuning, and measures what that loses.

    Raises:
        InputError: the network is a SavedModel, or no layer of it can lose filters.
    """
    network, config = job.original, job.recipe.prune
    model = network.model
    if model is None:
        raise InputError(f"{network.path} is a SavedModel, which cannot be pruned; expected .keras or .h5 of tf-keras")
    before = _points_of(model, network, job.crops)
    whole = count_macs(model)
    sensitivity = []
    for filters in tqdm(find_filters(model), desc="layers alone", unit="layer"):
        left = counts_left([filters.count], ALONE)[0]
        kept = keep_best(importance_of(model, filters, config.importance), left)
        pruned = remove_filters(model, [(filters, kept)])
        sensitivity.append(
            Sensitivity(
                layer=filters.layer,
                filters=filters.count,
                kept=len(kept),
                macs_saved_percent=100 * (1 - count_macs(pruned) / whole),
                loss=_loss(pruned, job, before),
            )
        )
    sweep = [_sweep_point(job, share, before) for share in SHARES]
    knee = find_knee([point.macs for point in sweep], [point.tuned.after_percent for point in sweep])
    return Scan(
        model=str(network.path),
        importance=config.importance,
        epochs=job.recipe.tune.epochs,
        sensitivity=sensitivity,
        sweep=sweep,
        knee=SHARES[knee],
    )


def _sweep_point(job: Job, share: float, before: Points) -> SweepPoint:
    model = job.original.model
    assert model is not None
    pruned, tuned = model, model
    if share:
        pruned = smaller(model, msgspec.structs.replace(job.recipe.prune, channels=share, weights=0.0))
        tuned, _ = job.tuned(f"sweep{share:.0%}".rstrip("%"), lambda: copied(pruned))
    return SweepPoint(
        share=share,
        macs=count_macs(pruned),
        parameters=int(pruned.count_params()),
        untuned=_loss(pruned, job, before),
        tuned=_loss(tuned, job, before),
    )


def _points_of(model: keras.Model, network: Network, crops: LabelledCrops) -> Points:
    out = model.predict(crops.pixels[..., None].astype(np.float32), batch_size=128, verbose=0)["keypoints"]
    units = out.reshape(len(out), -1, 2) + np.array(network.described["mean_shape"])
    return np.asarray(units * CROP_SIZE - 0.5, np.float32)


def _loss(model: keras.Model, job: Job, before: Points) -> Loss:
    return compare(before, _points_of(model, job.original, job.crops), job.crops).overall


def find_knee(costs: Sequence[float], errors: Sequence[float]) -> int:
    """Index of the knee: the point farthest below the line between the cheapest and the dearest, both scaled to 1.

    Satopaa et al., Finding a Kneedle in a Haystack, ICDCSW 2011.
    """
    x, y = (np.asarray(values, float) for values in (costs, errors))
    x, y = ((v - v.min()) / max(float(np.ptp(v)), 1e-12) for v in (x, y))
    ends = [int(np.argmin(x)), int(np.argmax(x))]
    line = np.interp(x, x[ends], y[ends])
    return int(np.argmax(line - y))


def _picture(found: Scan) -> bytes:
    figure, (left, right) = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    macs = [point.macs / 1e6 for point in found.sweep]
    left.plot(macs, [p.tuned.after_percent for p in found.sweep], "o-", label=f"tuned for {found.epochs} epochs")
    left.plot(macs, [p.untuned.after_percent for p in found.sweep], "o:", color="#aaaaaa", label="not tuned")
    for point in found.sweep:
        left.annotate(
            f"{point.share:.0%}", (point.macs / 1e6, point.tuned.after_percent), (4, 6), textcoords="offset points"
        )
    knee = next(point for point in found.sweep if point.share == found.knee)
    left.plot([knee.macs / 1e6], [knee.tuned.after_percent], "s", ms=12, mfc="none", color="#cc3333", label="knee")
    left.set_yscale("log")
    left.set_xlabel("million multiply-accumulates")
    left.set_ylabel("NME on val, %")
    left.legend()
    names = [one.layer for one in found.sensitivity]
    right.barh(names, [one.loss.loss_percent for one in found.sensitivity])
    right.invert_yaxis()
    right.set_xscale("symlog", linthresh=10)
    right.set_xlabel(f"loss of NME, %, with {ALONE:.0%} of its filters gone, not tuned")
    data = io.BytesIO()
    figure.savefig(data, format="png", dpi=80)
    plt.close(figure)
    return data.getvalue()
