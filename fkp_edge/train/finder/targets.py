"""What the network's maps should say of a composed frame, and the batches of an epoch."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fkp_edge.core.geometry import Crop
from fkp_edge.model.finder_maps import LEVELS, SHAPE_CHANNELS, Level
from fkp_edge.train.finder.compose import Composer, Frame
from fkp_edge.train.finder.recipe import FinderFit

__all__ = ["Batch", "Target", "batches", "make_target"]

Floats = NDArray[np.float32]

NEAR = 0.3
"""Heat from which a cell has to say the shape of the face, too."""


class Target(NamedTuple):
    """One level's maps."""

    heat: Floats
    """(rows, columns): 1 in the cell of a face's middle, falling off around it."""
    care: Floats
    """(rows, columns): 0 where no heat is right or wrong."""
    shape: Floats
    """(rows, columns, 5), see `finding.SHAPE_CHANNELS`."""
    near: Floats
    """(rows, columns): weight of the shape."""


class Batch(NamedTuple):
    """One step's arrays."""

    pixels: Floats
    """(N, 128, 160, 1), grey levels 0 to 255."""
    targets: tuple[Target, ...]
    """Of each level, with N in front."""


def make_target(frame: Frame, level: Level) -> Target:
    """What `level` should say of `frame`, whose sides are multiples of its stride."""
    rows, columns = (length // level.stride for length in frame.pixels.shape)
    x = (np.arange(columns, dtype=np.float32) + 0.5) * level.stride - 0.5
    y = (np.arange(rows, dtype=np.float32) + 0.5) * level.stride - 0.5
    heat = np.zeros((rows, columns), np.float32)
    care = np.ones((rows, columns), np.float32)
    shape = np.zeros((rows, columns, SHAPE_CHANNELS), np.float32)
    for crop in frame.ignore:
        if crop.side > 2:
            care[_around(crop, x, y, 0.7)] = 0
    for crop in frame.faces:
        least, most = level.sides
        if not 0.7 * least <= crop.side <= 1.35 * most:
            continue
        if not least <= crop.side <= most:  # the other level's; here it may say so or not
            care[_around(crop, x, y, 0.45)] = 0
            continue
        spread = max(0.40 * level.stride, 0.14 * crop.side)
        squared = (x[None, :] - crop.x) ** 2 + (y[:, None] - crop.y) ** 2
        glow = np.exp(-(squared - squared.min()) / (2 * spread**2)).astype(np.float32)
        mine = glow > heat
        heat = np.maximum(heat, glow)
        dx = np.broadcast_to((crop.x - x[None, :]) / level.stride, heat.shape)
        dy = np.broadcast_to((crop.y - y[:, None]) / level.stride, heat.shape)
        said = (math.log(crop.side / level.side), math.sin(crop.roll), math.cos(crop.roll))
        full = np.stack([dx, dy, *(np.full_like(heat, v) for v in said)], -1)
        shape[mine] = full[mine]
    care[heat > NEAR] = 1
    return Target(heat, care, shape, np.where(heat > NEAR, heat, 0).astype(np.float32))


def _around(crop: Crop, x: NDArray[np.floating], y: NDArray[np.floating], reach: float) -> NDArray[np.bool_]:
    """Cells whose middles lie in the square of `reach` sides about the crop's middle."""
    far = max(reach * crop.side, 6.0)
    inside: NDArray[np.bool_] = (abs(y[:, None] - crop.y) < far) & (abs(x[None, :] - crop.x) < far)
    return inside


def batches(composer: Composer, fit: FinderFit, epoch: int) -> Iterator[Batch]:
    """The batches of `epoch`: the same seed and epoch give the same ones."""
    rng = np.random.default_rng([fit.seed, epoch])
    part = fit.part if epoch < round(fit.epochs * (1 - fit.whole_share)) else 0
    for _ in range(fit.steps):
        frames = [composer.draw(rng, part) for _ in range(fit.batch)]
        targets = tuple(
            Target(*(np.stack(parts) for parts in zip(*(make_target(f, level) for f in frames), strict=True)))
            for level in LEVELS
        )
        yield Batch(np.stack([f.pixels for f in frames])[..., None].astype(np.float32), targets)
