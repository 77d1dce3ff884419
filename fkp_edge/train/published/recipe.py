"""What a recipe of kind `published` or `knn` (train/published/*.toml) may say. Defaults live here and nowhere else."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from fkp_edge.core.settings import Settings

__all__ = ["Augment", "Data", "Fit", "KnnRecipe", "Missing", "Network", "PublishedRecipe"]

Count = Annotated[int, msgspec.Meta(ge=1)]
"""At least one."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]

Missing = Literal["masked", "drop", "ffill", "median", "knn", "specialists"]
Layers = Literal[
    "lenet5",
    "vgg16",
    "vgg19",
    "conv_bn_leaky",
    "conv_gap",
    "conv_small",
    "conv_small_dropout",
    "residual",
    "keypointnet",
]


class Data(Settings, frozen=True, kw_only=True):
    """Which faces, and how their rows are split."""

    file: str = "training.csv"
    """Labelled faces below --data: Kaggle's training.csv or .zip, MUCT's muct76-opencv.csv or a folder of .pts."""
    val_share: Share = 0.15
    """Rows that stop the training and choose the best weights."""
    test_share: Share = 0.10
    """Rows that nothing is chosen on; only their errors are shown."""
    seed: int = 7
    """Of the split: the same seed and file give the same split. With 7 the first training row of the
    competition's file is complete, as `ffill` needs it."""
    note: str = "Kaggle's Facial Keypoints Detection, or your own file in its format; the data's terms apply."
    """Where the data come from and how they may be used; goes into the model card."""


class Network(Settings, frozen=True, kw_only=True):
    """Which layers; `networks.py` lists them."""

    layers: Layers
    weights: str = ""
    """vgg16 and vgg19 only: where the convolutions start from. Empty: at random; `imagenet`: Keras's own download; else
    a local `..._notop.h5` file below --data."""


class Augment(Settings, frozen=True, kw_only=True):
    """How training pictures are changed each time they are shown. Nothing is, by default."""

    shift_px: NotNegative = 0.0
    """Largest shift on each axis, pixels, drawn evenly."""
    roll_deg: NotNegative = 0.0
    """Largest rotation either way, degrees, drawn evenly."""
    flip_share: Share = 0.0
    """Pictures mirrored, left and right points exchanged."""
    bright_share: Share = 0.0
    """Pictures multiplied by `brightness` and clipped at 255."""
    brightness: tuple[Positive, Positive] = (1.5, 2.0)
    """Least and largest factor."""


class Fit(Settings, frozen=True, kw_only=True):
    """The schedule."""

    epochs: Count = 300
    """At most."""
    minutes: NotNegative = 0.0
    """Training ends after so long, validation included; 0 sets no limit."""
    batch: Count = 64
    """Faces a step."""
    optimizer: Literal["adam", "rmsprop"] = "adam"
    learning_rate: Positive = 1e-3
    """At the start."""
    schedule: Literal["constant", "plateau", "cosine"] = "plateau"
    """`plateau` multiplies the rate by `plateau_factor` after `plateau_patience` epochs without a better validation
    error; `cosine` takes it to zero over `epochs` or `minutes`, whichever ends first."""
    plateau_patience: Count = 5
    plateau_factor: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.5
    patience: Annotated[int, msgspec.Meta(ge=0)] = 20
    """Training ends after so many epochs without a better validation error; 0 goes on. The best weights are kept."""
    loss: Literal["mse", "wing"] = "mse"
    """Mean square, or wing (Feng et al., CVPR 2018), of the labelled coordinates in pixels."""
    restarts: Count = 1
    """Trainings from different random weights that share `minutes`; the best on the validation rows is kept."""
    seed: int = 1


class PublishedRecipe(Settings, frozen=True, kw_only=True):
    """A network that regresses points on ready 96x96 pictures, as its authors trained it."""

    kind: Literal["published"]
    name: str
    """Name of the model, as its card shows it."""
    network: Network
    missing: Missing = "masked"
    """What to do about points without a label in training rows. Errors are of labelled points only, always."""
    neighbours: Count = 9
    """Rows whose mean fills a missing value, for missing = "knn"."""
    data: Data = Data()
    augment: Augment = Augment()
    fit: Fit = Fit()


class KnnRecipe(Settings, frozen=True, kw_only=True):
    """The baseline without a network: the mean points of the training pictures nearest in their pixels."""

    kind: Literal["knn"]
    name: str
    neighbours: Count = 9
    """Pictures whose points are averaged; also rows whose mean fills a missing value."""
    missing: Literal["drop", "ffill", "median", "knn"] = "drop"
    data: Data = Data()
