"""What a conversion recipe (convert/*.toml) may say. Defaults live here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Protocol

import msgspec

from fkp_edge.core.files import write_whole
from fkp_edge.core.settings import Settings
from fkp_edge.errors import InputError

__all__ = ["Calibration", "ConvertRecipe", "Foreign", "Prune", "Tune", "check_free", "check_inputs", "save_passed"]

Count = Annotated[int, msgspec.Meta(ge=1)]
"""At least one."""
Share = Annotated[float, msgspec.Meta(ge=0, lt=1)]


class Calibration(Settings, frozen=True, kw_only=True):
    """The crops that set the ranges of int8 tensors."""

    folders: tuple[str, ...] = ()
    """Faces below --data that the crops are drawn from, equally from each; empty: the network's own training faces."""
    count: Count = 180
    """Crops in all, framed as on the device. Few and clean: an outlier widens a tensor's range, and with it every step
    of int8 (measured in convert/README.md)."""
    bias_crops: Annotated[int, msgspec.Meta(ge=0)] = 900
    """Other such crops, on which the points' mean error of int8 is measured and taken back; 0 leaves it."""
    seed: int = 7


class Prune(Settings, frozen=True, kw_only=True):
    """What is removed; one of the two."""

    channels: Share = 0.0
    """Share of the filters of every layer that can lose some: less work, a smaller file."""
    keep: tuple[str, ...] = ()
    """Layers that lose no filters; `fkp-edge convert --scan` shows which lose most."""
    weights: Share = 0.0
    """Share of the single weights of every convolution and dense layer: only the compressed file gets smaller."""
    importance: Literal["batch_norm", "l1"] = "batch_norm"
    """What ranks filters: the gain of the last batch norm after them (L1 where there is none), or the L1 norm of their
    weights; channels.py has the papers."""


class Tune(Settings, frozen=True, kw_only=True):
    """Fine-tuning after pruning and for quantisation-aware training."""

    epochs: Count = 30
    batch: Count = 64
    """Faces a step."""
    negatives: Annotated[int, msgspec.Meta(ge=0)] = 16
    """Crops without a well-framed face added to each step, where the network has a score."""
    learning_rate: Annotated[float, msgspec.Meta(gt=0)] = 1e-3
    """Peak of the cosine schedule."""
    warmup_epochs: float = 0.5
    replicas: Count = 1
    """As in a training recipe; quantisation-aware training uses one."""
    seed: int = 1


class Foreign(Settings, frozen=True, kw_only=True):
    """What a network that was not trained here takes and gives."""

    pixels: Literal["0..255", "0..1", "-1..1"] = "0..255"
    """Grey levels that it takes."""
    points: Literal["offsets", "units", "pixels", "centred"] = "offsets"
    """What its outputs are: offsets from the schema's mean shape in crop units; crop units, 0 to 1; pixels of the 96x96
    picture; or (pixel - 48) / 48."""
    licence: str = "not stated"
    """What the weights may be used for, and which data made them; for the card."""


class ConvertRecipe(Settings, frozen=True, kw_only=True):
    """One conversion to int8: prune, fine-tune, quantise, compare."""

    prune: Prune = Prune()
    quantise: Literal["ptq", "qat"] = "ptq"
    """Post-training quantisation, or quantisation-aware training."""
    tune: Tune = Tune()
    calibration: Calibration = Calibration()
    val: tuple[str, ...] = ()
    """Faces below --data on which float and int8 are compared; empty: those that validated the network's training."""
    max_loss_percent: Annotated[float, msgspec.Meta(gt=0)] = 1.0
    """Largest loss of accuracy that passes: the upper end of the 95 % interval of the relative loss in NME on `val`."""
    remedies: bool = True
    """Where post-training quantisation loses more: more calibration crops, then quantisation-aware training, then the
    worst layers in float."""
    network: Foreign = Foreign()
    """Read for networks that were not trained here."""

    def __post_init__(self) -> None:
        if self.prune.channels and self.prune.weights:
            raise InputError(
                f"prune.channels = {self.prune.channels} and prune.weights = {self.prune.weights} exclude each other; "
                "leave one out"
            )


def check_inputs(model: Path, recipe: ConvertRecipe, data_dir: Path) -> None:
    """Makes sure that the network and the folders that are named are there.

    Raises:
        InputError: one is not.
    """
    if model.is_dir():
        if not (model / "saved_model.pb").is_file():
            raise InputError(f"{model} has no saved_model.pb; expected a SavedModel's folder, or a .keras or .h5 file")
    elif model.suffix not in {".keras", ".h5"}:
        raise InputError(f"{model}: expected a .keras or .h5 file of tf-keras, or the folder of a SavedModel")
    elif not model.is_file():
        raise InputError(f"{model} does not exist; expected a .keras or .h5 file, or the folder of a SavedModel")
    for folder in (data_dir, *(data_dir / name for name in (*recipe.calibration.folders, *recipe.val))):
        if not folder.exists():
            raise InputError(f"{folder} does not exist; expected a folder with labelled faces")


def check_free(out: Path, *, overwrite: bool) -> dict[str, Path]:
    """Where a conversion to `out` writes, by precision; asked before the work begins.

    Raises:
        InputError: a file exists and `overwrite` is not given, or the folder does not.
    """
    paths = {"int8": out, "float32": out.with_name(f"{out.stem.removesuffix('-int8')}-float32{out.suffix}")}
    taken = [path for path in paths.values() if path.exists()]
    if taken and not overwrite:
        raise InputError(f"{taken[0]} already exists; name another --out or add --overwrite")
    if not out.parent.is_dir():
        raise InputError(f"{out.parent} is not a folder; make it, or name another --out")
    return paths


class Judged(Protocol):
    """A conversion's report."""

    @property
    def passed(self) -> bool:
        """Whether the gate lets it out."""
        ...

    @property
    def verdict(self) -> str:
        """Why, in one line."""
        ...


def save_passed(out: Path, report: Judged, contents: Mapping[str, bytes], *, overwrite: bool) -> dict[str, Path]:
    """Writes the model files of a conversion, all or none; their paths by precision.

    Args:
        out: the int8 file; see `check_free` for the float32 one.
        report: judges the conversion.
        contents: precision -> what is written.
        overwrite: files that exist are replaced.

    Raises:
        InputError: the gate refused it, a file exists and `overwrite` is not given, or the disk is full.
    """
    if not report.passed:
        raise InputError(f"{out} is not written: {report.verdict}")
    paths = check_free(out, overwrite=overwrite)
    write_whole({path: contents[precision] for precision, path in paths.items()})
    return paths
