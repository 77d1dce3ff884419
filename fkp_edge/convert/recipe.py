"""What a conversion recipe (convert/*.toml) may say. Defaults live here and nowhere else."""

from __future__ import annotations

from typing import Annotated

import msgspec

from fkp_edge.settings import Settings

__all__ = ["Calibration", "ConvertRecipe"]


class Calibration(Settings, frozen=True, kw_only=True):
    """The crops that set the ranges of int8 tensors."""

    folders: tuple[str, ...] = ("train/lfpw", "train/helen", "train/ytf")
    """Faces below --data that the crops are drawn from, equally from each."""
    count: Annotated[int, msgspec.Meta(ge=1)] = 180
    """Crops in all, framed as on the device. Few and clean: an outlier widens a tensor's range, and with it every step
    of int8 (measured in convert/README.md)."""
    bias_crops: Annotated[int, msgspec.Meta(ge=0)] = 900
    """Other such crops, on which the last layer's bias is corrected; 0 leaves it."""
    seed: int = 7


class ConvertRecipe(Settings, frozen=True, kw_only=True):
    """One conversion: post-training quantisation to int8."""

    calibration: Calibration = Calibration()
    val: tuple[str, ...] = ("val/lfpw", "val/helen", "val/ytf")
    """Faces below --data on which float and int8 are compared."""
