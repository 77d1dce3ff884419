"""What a recipe (train/*.toml) may say. Defaults live here and nowhere else."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from fkp_edge.core.settings import Settings
from fkp_edge.errors import InputError

__all__ = ["Augment", "Data", "Fit", "Loss", "Network", "Recipe"]


Count = Annotated[int, msgspec.Meta(ge=1)]
"""At least one."""
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
"""Of all crops."""


class Network(Settings, frozen=True, kw_only=True):
    """The inverted-residual network of `networks.py`."""

    stem: int = 16
    """Channels of the first convolution, 3x3 at stride 2."""
    blocks: tuple[tuple[int, int, int], ...] = (
        (16, 1, 2),
        (24, 2, 4),
        (24, 1, 4),
        (32, 2, 4),
        (32, 1, 4),
        (32, 1, 4),
        (64, 2, 4),
        (64, 1, 4),
        (64, 1, 4),
    )
    """(channels, stride, expansion) of each inverted-residual block."""
    head: int = 96
    """Channels of the 1x1 convolution after the blocks."""
    squeeze: int = 24
    """Channels a position keeps before all positions are joined: keeps where things are, at few weights."""


class Data(Settings, frozen=True, kw_only=True):
    """Which faces, below the folder given with --data."""

    train: dict[str, int]
    """Folder or file -> how often an epoch shows each of its faces."""
    val: tuple[str, ...]
    """Folders that choose between models; never trained on."""
    scenes: str = ""
    """Folder of whole photographs that gives the score its negatives; without, badly framed faces are all it sees."""
    val_scenes: str = ""
    """Folder of whole photographs on which the score's temperature is fitted; left as trained where empty."""
    note: str = ""
    """Where the data come from and how they may be used; goes into the model card."""


class Augment(Settings, frozen=True, kw_only=True):
    """How training crops differ from their labels' crops. Shares are of all positive crops."""

    haar_share: Share = 0.40
    """Crops as Haar frames faces: half around its own boxes, half jittered as those lie (geometry.HAAR_JITTER)."""
    track_share: Share = 0.30
    """Crops drawn as the tracker draws them, from points with errors (geometry.TRACK_JITTER)."""
    wide_share: Share = 0.12
    """Crops far off but still the same face: what a fast head leaves the tracker with."""
    half_share: Share = 0.06
    """Crops that overlap the face by a third to a half, as Haar's worst boxes do. The rest is framed by labels."""
    roll_deg: float = 12.0
    """Standard deviation of the added roll, degrees (a third of it on tracked crops, which are roll-normalised)."""
    point_error: float = 0.03
    """Standard deviation of the points that tracked crops come from, in eye distances."""
    contrast: float = 0.30
    """Standard deviation of the logarithm of contrast."""
    brightness: float = 20.0
    """Standard deviation of the shift in grey levels."""
    gamma: float = 0.25
    """Standard deviation of the logarithm of gamma."""
    blur_share: Share = 0.25
    """Crops blurred: defocus or motion along a line."""
    small_share: Share = 0.25
    """Crops sampled at 28 to 80 pixels first, as distant faces are."""
    noise_share: Share = 0.4
    """Crops with sensor noise."""
    jpeg_share: Share = 0.2
    """Crops compressed hard."""
    erase_share: Share = 0.25
    """Crops with a covered rectangle."""
    cut_share: Share = 0.08
    """Pictures cut through the face, as by the edge of a frame."""


class Loss(Settings, frozen=True, kw_only=True):
    """Masked regression loss in crop pixels, plus cross-entropy of the score."""

    kind: Literal["wing", "smooth_l1"] = "wing"
    """Wing loss (Feng et al., CVPR 2018) or smooth L1."""
    width: float = 5.0
    """Wing: errors below this many pixels are weighted logarithmically. Smooth L1: where it turns linear."""
    curvature: float = 1.0
    """Wing only: its epsilon, pixels."""
    eye_weight: bool = True
    """Weight each face by 40 px over its inter-ocular distance (0.7 to 2): small distances weigh in the NME."""
    score_weight: float = 2.0
    """Weight of the score's cross-entropy."""


class Fit(Settings, frozen=True, kw_only=True):
    """The schedule."""

    epochs: Count
    batch: Count = 64
    """Faces a step."""
    negatives: Annotated[int, msgspec.Meta(ge=0)] = 16
    """Crops without a well-framed face added to each step."""
    learning_rate: float = 2e-3
    """Peak of the cosine schedule."""
    warmup_epochs: float = 1.0
    weight_decay: float = 1e-4
    """AdamW's, on kernels only."""
    frozen: Annotated[int, msgspec.Meta(ge=0)] = 0
    """Blocks at the start, with the stem, that keep the weights of `--start`; 0 trains all. The large pictures of the
    first blocks cost most of a step."""
    ema: float = 0.999
    """Decay of the averaged weights, which are what is saved."""
    replicas: Count = 1
    """Devices that share each step (tf.distribute.MirroredStrategy): GPUs, or without any as many logical CPU devices
    of one thread each. On two cores two replicas are a third faster than one with two threads."""
    seed: int = 1


class Recipe(Settings, frozen=True, kw_only=True):
    """One training run of the network that ships; the other kinds of recipe stand in `published/recipe.py`."""

    name: str
    """Name of the model, as its card shows it."""
    data: Data
    fit: Fit
    schema: str = "fkp15"
    """Keypoint schema: fkp15 or ibug68."""
    network: Network = Network()
    augment: Augment = Augment()
    loss: Loss = Loss()
    kind: Literal["keypointnet"] = "keypointnet"
    """Tells recipes of different kinds apart."""

    def __post_init__(self) -> None:
        mix = self.augment
        framed = mix.haar_share + mix.track_share + mix.wide_share + mix.half_share
        if framed > 1 + 1e-9:
            raise InputError(
                f"augment: haar_share, track_share, wide_share and half_share add up to {framed:.3g}; expected at most "
                "1, the rest is framed by labels"
            )
