"""What a conversion reads and writes, and whether it can: said before TensorFlow is imported."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from fkp_edge.convert.recipe import ConvertRecipe
from fkp_edge.core.files import write_whole
from fkp_edge.errors import InputError

__all__ = ["check_free", "check_inputs", "save_passed"]


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
