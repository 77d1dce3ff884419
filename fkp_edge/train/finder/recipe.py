"""What a finder's recipe (train/finder.toml) may say. Defaults live here and nowhere else."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from fkp_edge.core.settings import Settings

__all__ = ["Compose", "FinderData", "FinderFit", "FinderNetwork", "FinderRecipe"]

Count = Annotated[int, msgspec.Meta(ge=1)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]


class FinderNetwork(Settings, frozen=True, kw_only=True):
    """Inverted-residual blocks at three strides, joined as in a feature pyramid."""

    stem: tuple[int, int] = (12, 24)
    """Channels of the two first convolutions, 3x3 at stride 2."""
    fine: tuple[tuple[int, int, int], ...] = ((32, 2, 3), (32, 1, 3), (32, 1, 3))
    """(channels, stride, expansion) of the blocks down to stride 8."""
    coarse: tuple[tuple[int, int, int], ...] = ((48, 2, 4), (48, 1, 3), (48, 1, 3))
    """Blocks from there to stride 16."""
    whole: tuple[tuple[int, int, int], ...] = ((64, 2, 3), (64, 1, 3))
    """Blocks from there to stride 32: what is around a face, and faces that fill the frame."""
    joined: int = 32
    """Channels of the joined maps at strides 8 and 16."""


class FinderData(Settings, frozen=True, kw_only=True):
    """Which pictures, below the folder given with --data."""

    scenes: str
    """Folder of whole photographs with faces.json."""
    val_scenes: str
    """Folder of whole photographs that chooses between models; never trained on."""
    chips: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = msgspec.field(default_factory=dict)
    """Folder of pictures with one face each, without labels -> one in so many is kept out of training by a hash of
    its file name (none where 0). The keypoint network finds the points; what it is not sure of is left out."""
    points_by: str = "keypoints-int8"
    """Keypoint network that finds the points of unlabelled faces: a shipped one's name, or a file."""
    note: str = ""
    """Where the data come from and how they may be used; goes into the model card."""


class Compose(Settings, frozen=True, kw_only=True):
    """How frames are composed. Shares are of all frames."""

    view_share: Share = 0.25
    """Frames that one picture fills, its border repeated."""
    paste_share: Share = 0.2
    """Faces and pictures set into others."""
    tile_share: Share = 0.3
    """Small pictures beside each other, few or many of them with faces."""
    crowd_share: Share = 0.15
    """Many small faces set into a picture. The rest of the frames has no face."""
    least_side: float = 6.0
    """Least side of a face's crop, pixels of the network's 160x128."""
    most_side: float = 170.0
    most_roll_deg: float = 62.0
    """Faces are turned by at most so much: half of them anyhow up to it, half a little."""
    flat_roll_deg: float = 9.0
    """Standard deviation of the roll of those turned a little."""
    dark_share: Share = 0.12
    blur_share: Share = 0.25
    noise_share: Share = 0.4
    jpeg_share: Share = 0.1
    cover_share: Share = 0.12
    """Faces partly covered by a patch."""


class FinderFit(Settings, frozen=True, kw_only=True):
    """The schedule."""

    epochs: Count
    steps: Count = 200
    """Batches an epoch."""
    batch: Count = 32
    part: Annotated[int, msgspec.Meta(ge=64, le=128, multiple_of=32)] = 96
    """Side of the square frames on which most of the run trains, pixels: cheaper than whole ones."""
    whole_share: Share = 0.3
    """Share of the epochs, the last ones, that train on whole frames."""
    learning_rate: float = 3e-3
    """Peak of the cosine schedule."""
    warmup_epochs: float = 1.0
    weight_decay: float = 1e-4
    ema: float = 0.999
    """Decay of the averaged weights, which are what is saved."""
    shape_weight: float = 1.0
    """Weight of offset, side and roll against the heat map."""
    seed: int = 1


class FinderRecipe(Settings, frozen=True, kw_only=True):
    """One training run of a finder."""

    kind: Literal["finder"]
    name: str
    """Name of the model, as its card shows it."""
    data: FinderData
    fit: FinderFit
    network: FinderNetwork = FinderNetwork()
    compose: Compose = Compose()
