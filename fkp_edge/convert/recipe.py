"""What a conversion recipe (convert/*.toml) may say. Defaults live here and nowhere else."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from fkp_edge.settings import Settings

__all__ = ["Calibration", "ConvertRecipe"]


class Calibration(Settings, frozen=True, kw_only=True):
    """The crops that set the ranges of int8 tensors."""

    folders: tuple[str, ...] = ("train/lfpw", "train/helen", "train/ytf")
    """Faces below --data that the crops are drawn from, equally from each."""
    count: Annotated[int, msgspec.Meta(ge=1)] = 600
    """Crops in all."""
    framing: Literal["jittered", "labels"] = "jittered"
    """As the device frames faces, or by the labels only: whole pictures where they are ready crops, as published
    networks are trained."""
    degraded_share: float = 0.5
    """Share of crops with the light, blur and noise of training; the rest as photographed."""
    negative_share: float = 0.15
    """Share of crops that frame no face: without them the score's range is cut off where faces end."""
    bias_crops: Annotated[int, msgspec.Meta(ge=0)] = 1500
    """Other crops of faces on which the last layer's bias is corrected; 0 leaves it."""
    seed: int = 7


class ConvertRecipe(Settings, frozen=True, kw_only=True):
    """One conversion: post-training quantisation to int8."""

    calibration: Calibration = Calibration()
    val: tuple[str, ...] = ("val/lfpw", "val/helen", "val/ytf")
    """Faces below --data on which float and int8 are compared."""
