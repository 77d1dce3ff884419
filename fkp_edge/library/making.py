"""A network made on a desktop: trained, then converted to a model file. TensorFlow is imported when it is called."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from fkp_edge.core.files import write_whole
from fkp_edge.core.settings import read_toml
from fkp_edge.device.detection.haar import PERMISSIVE, HaarDetector, settings_text
from fkp_edge.errors import InputError

if TYPE_CHECKING:
    from fkp_edge.convert.report import Report
    from fkp_edge.train.proposals import Proposer
    from fkp_edge.train.sweep import SweepLine

__all__ = ["Conversion", "Training", "convert", "haar_proposer", "sweep", "train"]


def haar_proposer() -> Proposer:
    """Haar as training asks for its proposals: everything that might be a face, on all cores."""
    from fkp_edge.train.proposals import Proposer

    return Proposer(lambda: HaarDetector(PERMISSIVE).detect, settings_text(PERMISSIVE))


@dataclass(frozen=True, slots=True)
class Training:
    """What a training run left behind."""

    model: Path
    """model.keras, for `convert`; beside it model.json, curves and pictures."""
    validation: dict[str, Any]
    """Figures by validation set: `nme_percent`, `rmse_px`, ..."""


def train(
    recipe: str | PathLike[str],
    *,
    data: str | PathLike[str],
    out: str | PathLike[str],
    start: str | PathLike[str] | None = None,
    trust_code: bool = False,
    resume: bool = False,
) -> Training:
    """Trains a network as a recipe says, on a desktop; needs `pip install 'fkp-edge[train]'`.

    Args:
        recipe: a TOML file, such as train/keypointnet.toml.
        data: the folder that the recipe's folders lie in.
        out: a folder for checkpoints, model, curves and pictures; made where missing.
        start: model.keras of an earlier run to go on from, or a float model file or the name of a shipped one.
        trust_code: load `start` even where it holds code of its own, which then runs.
        resume: go on from the newest checkpoint in `out`.

    Returns:
        A record: `model` is the path of model.keras, `validation` the figures by validation set.

    Raises:
        InputError: the recipe or a folder cannot be used, or `out` holds a run and `resume` is not given.
        MissingPartError: TensorFlow is not installed; the text says what to install.
    """
    from fkp_edge.train.registry import read_recipe, train_any

    result = train_any(
        read_recipe(Path(recipe)),
        data_dir=Path(data),
        out=Path(out),
        propose=haar_proposer(),
        start=None if start is None else Path(start),
        trust_code=trust_code,
        resume=resume,
    )
    return Training(result.model, result.validation)


def sweep(
    recipe: str | PathLike[str],
    points: str | PathLike[str],
    *,
    data: str | PathLike[str],
    out: str | PathLike[str],
    start: str | PathLike[str] | None = None,
    trust_code: bool = False,
    resume: bool = False,
) -> list[SweepLine]:
    """Trains a recipe once for each table of the TOML file `points`, which changes some of its keys.

    The other arguments are those of `train`; each point's run lies in `out`/NAME, its line in `out`/sweep.jsonl.

    Returns:
        The lines of all points, in the file's order.

    Raises:
        InputError: as `train`; or a point is no recipe, or `out` holds a sweep and `resume` is not given.
        MissingPartError: TensorFlow is not installed; the text says what to install.
    """
    from fkp_edge.train.sweep import read_points, train_sweep

    return train_sweep(
        read_points(Path(recipe), Path(points)),
        data_dir=Path(data),
        out=Path(out),
        propose=haar_proposer(),
        start=None if start is None else Path(start),
        trust_code=trust_code,
        resume=resume,
    )


@dataclass(frozen=True, slots=True)
class Conversion:
    """What a conversion gave, and lost."""

    report: Report
    """All figures: by step, set, point, precision and layer."""
    files: dict[str, Path]
    """Precision (int8, float32) -> the file written; empty where it did not pass."""

    @property
    def passed(self) -> bool:
        """Whether the loss surely is no larger than allowed; only then are files written."""
        return self.report.passed

    @property
    def loss(self) -> float:
        """What int8 lost of the float network's accuracy, percent of its NME; below 0 where it is better."""
        return self.report.total.overall.loss_percent

    def save_html(self, path: str | PathLike[str]) -> Path:
        """Writes the report as one HTML page with plots.

        Args:
            path: of the page, replaced where it exists.

        Returns:
            The path.

        Raises:
            InputError: it cannot be written.
        """
        from fkp_edge.convert.pages import html_page

        write_whole({Path(path): html_page(self.report).encode()})
        return Path(path)

    def __repr__(self) -> str:
        return f"<Conversion of {self.report.name}: {self.report.verdict}>"


def convert(
    model: str | PathLike[str],
    *,
    data: str | PathLike[str],
    out: str | PathLike[str],
    recipe: str | PathLike[str] | None = None,
    max_loss_percent: float | None = None,
    overwrite: bool = False,
) -> Conversion:
    """Prunes and quantises a float network to a model file, if what it lost passes the gate.

    Runs on a desktop; needs `pip install 'fkp-edge[convert]'`.

    Args:
        model: model.keras of a training run, a .keras or .h5 file of your own, or a SavedModel's folder.
        data: the folder with the labelled faces that the network was trained and validated on.
        out: the int8 file; the float32 one goes beside it.
        recipe: a TOML file; plain int8 where None.
        max_loss_percent: refuse what may lose more of the NME, percent; instead of the recipe's.
        overwrite: replace files that exist.

    Returns:
        A record: `passed`, `loss` in percent, `files`, `report`, and `save_html`.

    Raises:
        InputError: the network, the recipe or a folder cannot be used, or a file exists.
        MissingPartError: TensorFlow is not installed; the text says what to install.
    """
    from fkp_edge.convert.attempts import prepare_job
    from fkp_edge.convert.recipe import ConvertRecipe, check_free
    from fkp_edge.convert.run import convert as convert_job

    out = Path(out)
    settings: Any = read_toml(Path(recipe), ConvertRecipe) if recipe else ConvertRecipe()
    if max_loss_percent is not None:
        if not 0 < max_loss_percent <= 100:
            raise InputError(f"max_loss_percent={max_loss_percent!r} cannot be used; expected above 0, at most 100")
        settings = msgspec.structs.replace(settings, max_loss_percent=float(max_loss_percent))
    check_free(out, overwrite=overwrite)
    work = out.with_suffix(".work")
    job = prepare_job(Path(model), settings, data_dir=Path(data), propose=haar_proposer(), work=work)
    result = convert_job(job)
    files = result.save(out, overwrite=overwrite) if result.report.passed else {}
    if files:
        shutil.rmtree(work, ignore_errors=True)
    return Conversion(result.report, files)
